"""The metrics, by subject. `registry.py` collects the tuple METRICS from each module in this directory."""
