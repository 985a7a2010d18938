"""Convert the values of input columns to text for prompts; a value without an unambiguous text is an error."""

from __future__ import annotations

import math
from typing import Any

EMPTY = "is {}, but the prompt needs text; fill it in, or remove this input"


def as_text(value: Any) -> str:
    """Return the text of a value in a prompt: a string unchanged, a number as in JSON.

    Raises:
        ValueError: the value is empty (None), or is neither a string nor a finite number.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise ValueError(EMPTY.format("null"))
    if isinstance(value, bool):
        raise ValueError(f"is the boolean {str(value).lower()}, but the prompt needs text; put the text in quotes")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(EMPTY.format(value))
        return repr(value)
    kind = {"list": "a list", "tuple": "a list", "dict": "a mapping"}.get(type(value).__name__, type(value).__name__)
    raise ValueError(f"is {kind}, but the prompt needs text; convert it to a string first")
