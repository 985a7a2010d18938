"""Tiny random models of every architecture, compared on all backends: `python -m tests.zoo`."""
