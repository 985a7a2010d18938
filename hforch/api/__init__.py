"""The Python functions `run`, `sweep` and `compare`, and their results."""
