"""Parse durations such as `90s` and `2min`."""

from __future__ import annotations

import math
import re

UNITS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)")
PROBLEM = "must be a positive number of seconds, or a number with a unit, such as 90s, 2min or 1h"


def seconds_of(value: float | str) -> float:
    """Return a duration in seconds.

    Args:
        value: seconds, or a number with a unit: s, min or h.

    Raises:
        ValueError: it is not a positive duration; with what is allowed.
    """
    seconds = value
    if isinstance(seconds, str):
        found = DURATION.fullmatch(seconds.strip())
        seconds = float(found[1]) * UNITS[found[2]] if found and found[2] in UNITS else 0.0
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(PROBLEM)
    return float(seconds)
