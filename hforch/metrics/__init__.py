"""The registry of metrics, from which tables, charts, limits, schemas and docs are generated."""
