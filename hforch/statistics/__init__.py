"""Intervals and tests for comparisons: pure functions of numbers, on numpy and scipy."""
