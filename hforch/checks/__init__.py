"""Checks of answers: the kinds that there are, and how they judge."""
