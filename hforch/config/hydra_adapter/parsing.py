"""Parse overrides with Hydra's grammar, and split them into jobs with its basic sweeper."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def parser_of(loader: Any) -> Any:
    """Return a parser for overrides, which resolves globs over options with the loader."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create(config_loader=loader)


def quoted(text: str) -> str:
    """Quote a string as the value of an override. In Hydra, backslashes are escapes only before a quote."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + found[2].replace("'", "\\'"), text)
    return f"'{escaped}'"


def value_of(parsed: Any) -> Any:
    """Return the raw value of a parsed override; strings are still quoted, and sweeps are Hydra's sweep objects."""
    return parsed._value


def with_value(parsed: Any, value: Any) -> Any:
    """Return a copy of a parsed override with another value."""
    return replace(parsed, _value=value)


def choices_of(text: str) -> list[Any] | None:
    """Return the values of an override that is one value or a list of choices; None for other sweeps and errors."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString
    from hydra.errors import HydraException

    try:
        value = OverridesParser.create().parse_override(text)._value
    except HydraException:
        return None
    values = value.list if isinstance(value, ChoiceSweep) else [value]
    plain = [one.text if isinstance(one, QuotedString) else one for one in values]
    return plain if all(isinstance(one, str) for one in plain) else None


def size_of_sweep(parsed: Any, loader: Any) -> float | None:
    """Return the number of values of a sweep override; None if it is not a sweep or its size is unknown."""
    from hydra.core.override_parser.types import ChoiceSweep, Glob, RangeSweep

    value = parsed._value
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    if isinstance(value, Glob):
        return len(value.filter(loader.get_group_options(parsed.key_or_group)))
    if isinstance(value, RangeSweep) and value.step and None not in (value.start, value.stop):
        length = (value.stop - value.start) / value.step
        return max(0, math.ceil(length)) if math.isfinite(length) else max(0.0, length)
    return None


def split_into_jobs(parsed: Sequence[Any]) -> list[list[str]]:
    """Return the overrides of each job from Hydra's basic sweeper."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    (jobs,) = BasicSweeper.split_arguments(list(parsed), None)
    return [list(job) for job in jobs]


def is_group_default(entry: Any) -> bool:
    """Return whether an entry of a defaults list selects an option of a group."""
    from hydra.core.default_element import GroupDefault

    return isinstance(entry, GroupDefault)
