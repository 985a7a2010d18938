"""Pair each job with its baseline, which differs from it only in how the model is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hforch.comparison.entries import Entry
from hforch.config.affects import LOAD_KEY, SAME_BASELINE, others
from hforch.config.as_recipe import flat
from hforch.config.backends.registry import BACKENDS
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.keys import affecting, affects, groups
from hforch.errors import ConfigError, Mistake

PRECISE_CACHE = ("f32", "None", "bf16", "f16", "u8", "u4")  # of KV caches; None: the device's default
MOST_PRECISE = ("fp32", "bf16", "fp16", "auto", "int8", "int4")


def baseline_pairs(entries: Sequence[Entry], wanted: Mapping[str, str] | None) -> dict[str, Entry | None]:
    """Return the baseline of each job (or None) by job name: the job itself, or one that differs only in the load key.

    Raises:
        ConfigError: see `compare`.
    """
    alike: dict[str, list[Entry]] = {}
    for entry in entries:
        alike.setdefault(_rest(entry), []).append(entry)
    if wanted is not None:
        _check_axes(wanted)
        if not any(_has(entry, wanted) for entry in entries):
            raise ConfigError(
                [Mistake("", f"no job has {_shown(wanted)}", f"--baseline {_shown(wanted)}", _hint(entries, wanted))]
            )
    partners: dict[str, Entry | None] = {}
    for group in alike.values():
        run = [entry for entry in group if entry.was_run]
        bases = [entry for entry in run if wanted is None or _has(entry, wanted)]
        if wanted is None:
            bases = sorted(bases, key=_imprecision) if len(bases) > 1 else []
        partners |= {entry.name: _nearest(entry, bases, wanted is not None) for entry in group}
    alone = [entry for entry in entries if partners[entry.name] is None]
    if wanted is not None and alone:
        hint = "a job and its baseline may differ only in how the model is loaded"
        raise ConfigError(
            [Mistake("", f"job {entry.name} has no baseline with {_shown(wanted)}", None, hint) for entry in alone]
        )
    return partners


def _nearest(entry: Entry, bases: Sequence[Entry], by_model: bool) -> Entry | None:
    """Return the first candidate baseline. With `by_model`, prefer one with the model of the job."""
    alike = [one for one in bases if one.job.get("model") == entry.job.get("model")] if by_model else []
    return next(iter([*alike, *bases]), None)


def read_baseline(text: str | None) -> Mapping[str, str] | None:
    """Parse the value of `--baseline`, such as `backend=pytorch,precision=fp32`.

    Raises:
        ConfigError: the format is invalid.
    """
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if any(not axis.strip() or not value.strip() for axis, _, value in pairs):
        hint = "use SETTING=VALUE,..., such as backend=pytorch,precision=fp32"
        raise ConfigError([Mistake("", f"'{text}' is not a valid baseline", f"--baseline {text}", hint)])
    return {axis.strip(): value.strip() for axis, _, value in pairs}


def _hint(entries: Sequence[Entry], wanted: Mapping[str, str]) -> str:
    """Return a hint that lists the values that the jobs have for these settings."""
    known = {axis: sorted({one for entry in entries for one in _spellings(entry, axis)}) for axis in wanted}
    return "; ".join(f"available for {axis}: {', '.join(values)}" for axis, values in known.items())


def _rest(entry: Entry) -> str:
    """Return the settings that a job and its baseline share: those that affect outputs, except the load key."""
    kept = {path: value for path, value in flat(entry.job) if not affects(path, others(SAME_BASELINE))}
    return json.dumps(kept, sort_keys=True, default=str)


def _check_axes(wanted: Mapping[str, str]) -> None:
    mistakes = []
    for axis in wanted:
        if not affects(axis, LOAD_KEY):
            load = affecting(LOAD_KEY)
            hint = (
                did_you_mean(axis, load) or f"allowed: {', '.join(load)}, and keys of these groups (such as model.id)"
            )
            known = axis.partition(".")[0] in groups()
            only = "only by settings that affect how the model is loaded"
            problem = f"--baseline cannot select by {axis}, {only}" if known else f"unknown setting '{axis}'"
            mistakes.append(Mistake("", problem, f"--baseline {_shown(wanted)}", hint))
    if mistakes:
        raise ConfigError(mistakes)


def _shown(wanted: Mapping[str, str]) -> str:
    return ",".join(f"{axis}={value}" for axis, value in wanted.items())


def _has(entry: Entry, wanted: Mapping[str, str]) -> bool:
    return all(value in _spellings(entry, axis) for axis, value in wanted.items())


def _spellings(entry: Entry, axis: str) -> set[str]:
    """Return the accepted spellings of a setting's value: the override, and names in the resolved value."""
    value = entry.get(axis)
    found = {entry.overrides[axis]} if axis in entry.overrides else set()
    if isinstance(value, Mapping):
        names = ("name", "kind", "id", "path", "file")
        return found | {str(value[name]) for name in names if value.get(name) is not None}
    return found | {str(value)}


def _imprecision(entry: Entry) -> tuple[int, int, bool]:
    name, kv = str(entry.get("precision.name")), str(entry.get("ov_config.KV_CACHE_PRECISION"))
    backend = BACKENDS.get(str(entry.get("backend.name")))
    return (
        MOST_PRECISE.index(name) if name in MOST_PRECISE else len(MOST_PRECISE),
        PRECISE_CACHE.index(kv) if kv in PRECISE_CACHE else len(PRECISE_CACHE),
        not (backend and backend.is_reference),
    )
