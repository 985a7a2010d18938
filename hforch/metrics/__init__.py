"""The registry of metrics: tables, charts, bounds, schemas and docs are made of it."""
