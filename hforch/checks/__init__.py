"""Checks of answers: their kinds, and how they are judged."""
