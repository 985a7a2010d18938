"""Checks of answers: the kinds of checks, and judging answers by them."""
