"""Round numbers in messages that compare them with a limit."""

from __future__ import annotations

DECIMALS = range(1, 10)


def rounded_apart(value: float, limit: float) -> str:
    """Return a number with one decimal, or with as many as show that it differs from a limit; without final zeros."""
    decimals = next((number for number in DECIMALS if round(value, number) != round(limit, number)), DECIMALS.stop)
    return _plain(round(value, decimals))


def percent_apart(fraction: float, limit: float) -> str:
    """Return a fraction in percent, like `rounded_apart`; the limit is also a fraction."""
    return f"{rounded_apart(fraction * 100, limit * 100)}%"


def percent(limit: float) -> str:
    """Return a limit in percent, with all its decimals."""
    return f"{_plain(limit * 100)}%"


def _plain(number: float) -> str:
    return f"{number:.10g}"
