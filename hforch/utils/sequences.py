"""Compare sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def first_diff(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return the index of the first difference; the shorter length if one sequence is a prefix of the other."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
