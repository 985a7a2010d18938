"""The registry of metrics, from which tables, charts, requirements, schemas and docs are generated."""
