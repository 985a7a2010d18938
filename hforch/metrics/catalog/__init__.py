"""The metrics, by subject. Each module has METRICS, a tuple; `registry.py` finds all modules of this folder."""
