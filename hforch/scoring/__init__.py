"""Scores of next-token distributions: against a baseline's, and on a text."""
