"""The jobs that a recipe lists under `jobs`: combinations of overrides, in addition to those of its sweep."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hforch.config import yaml_nodes
from hforch.config.config_dirs import ConfigDirs
from hforch.config.diagnose.overrides import ParsedOverride, parse_override
from hforch.config.hydra_adapter.parsing import quoted
from hforch.config.keys import groups
from hforch.errors import Mistake

BARE = re.compile(r"[A-Za-z_][\w./-]*")  # a string that needs no quotes, unless it is a literal
LITERALS = ("true", "false", "null", "nan", "inf")


def override_value(value: Any) -> str:
    """Return a YAML value as the value of an override; strings are literal, so `a,b` is not a sweep."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if BARE.fullmatch(value) and value.lower() not in LITERALS else quoted(value)
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{override_value(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, Sequence):
        return f"[{','.join(map(override_value, value))}]"
    return str(value)


def _overrides(entry: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the overrides of an entry, each with the path of its value in the entry.

    A mapping of a group's keys stands for one override per key.
    """
    for key, value in entry.items():
        if key not in groups():
            yield (key,), f"{key}={override_value(value)}"
        elif isinstance(value, Mapping):
            yield from (((key, inner), f"{key}.{inner}={override_value(one)}") for inner, one in value.items())
        else:
            yield (key,), f"{key}={value}"  # an option, or a shorthand such as cuda:1


def listed_jobs(
    config_dirs: ConfigDirs, typed: Sequence[ParsedOverride], loader: Any, mistakes: list[Mistake]
) -> list[list[ParsedOverride]]:
    """Return the overrides of each job that the recipe lists, without those that the command line replaces.

    Args:
        typed: the overrides of the command line. An option replaces all settings of its group.
        mistakes: receives the errors in the entries.
    """
    recipe = config_dirs.written()
    keys = {one.key for one in typed}
    options = {one.key for one in typed if one.is_group}
    found: dict[tuple[str, ...], list[ParsedOverride]] = {}
    for number, entry in enumerate(config_dirs.jobs):
        where = {}
        for path, text in _overrides(entry):
            line = yaml_nodes.find(recipe, ("jobs", str(number), *path)).line
            where[text] = f"{config_dirs.show(recipe)}:{line}"
        job, wrong = parse_override(list(where), loader, where)
        mistakes += wrong
        job = [one for one in job if one.key not in keys and one.key.partition(".")[0] not in options]
        found.setdefault(tuple(one.text for one in job), job)
    return list(found.values())
