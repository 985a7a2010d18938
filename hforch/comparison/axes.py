"""Find the settings in which jobs differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hforch.comparison.entries import Entry, is_only_shown
from hforch.config.as_recipe import flat


def axes_of(entries: Sequence[Entry]) -> dict[str, dict[str, str]]:
    """Return the settings that differ between jobs, by job name: overrides, or config values if overrides are equal."""
    chosen = {
        entry.name: {axis: value for axis, value in entry.overrides.items() if _is_axis(axis)} for entry in entries
    }
    names = list(dict.fromkeys(axis for values in chosen.values() for axis in values))
    varying = [name for name in names if _varies(entries, chosen, name)]
    axes = {entry.name: {name: _axis(entry, chosen, name) for name in varying} for entry in entries}
    values = {entry.name: {path: repr(value) for path, value in flat(entry.job)} for entry in entries}
    paths = list(dict.fromkeys(path for own in values.values() for path in own if not is_only_shown(path)))
    told: dict[tuple[str, ...], str] = {}
    more: set[str] = set()
    for entry in entries:  # if overrides do not distinguish two jobs, add the config values that do
        first = told.setdefault(tuple(axes[entry.name].values()), entry.name)
        more |= {path for path in paths if values[first].get(path) != values[entry.name].get(path)}
    for entry in entries:
        axes[entry.name] |= {path: _short(entry.get(path)) for path in paths if path in more}
    return axes


def _varies(entries: Sequence[Entry], chosen: Mapping[str, Mapping[str, str]], name: str) -> bool:
    """Return whether jobs differ in a setting; False if a job without the override has the same value by default."""
    if len({_axis(entry, chosen, name) for entry in entries}) < 2:
        return False
    values = {json.dumps(entry.get(name), sort_keys=True, default=str) for entry in entries}
    return len(values) > 1 or all(name in chosen[entry.name] for entry in entries)


def _is_axis(name: str) -> bool:
    return not name.startswith("hydra.") and not is_only_shown(name)


def _axis(entry: Entry, chosen: Mapping[str, Mapping[str, str]], name: str) -> str:
    if name in chosen[entry.name]:
        return _short(chosen[entry.name][name])
    value = entry.get(name)
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("kind") or value.get("id") or value.get("source") or "default"
    return _short(value)


def _short(value: Any) -> str:
    text = " ".join(str("-" if value is None else value).split())
    return text if len(text) <= 40 else f"{text[:25]}...{text[-12:]}"
