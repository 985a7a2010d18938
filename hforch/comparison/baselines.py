"""Pair each job with its baseline, which differs from it only in how the model is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hforch.comparison.axes import axes_of
from hforch.comparison.entries import Entry
from hforch.config.affects import LOAD_KEY, SAME_BASELINE, others
from hforch.config.as_recipe import flat
from hforch.config.backends.registry import BACKENDS
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.keys import affecting, affects, groups
from hforch.errors import ConfigError, Mistake

PRECISE_CACHE = ("f32", "None", "bf16", "f16", "u8", "u4")  # of KV caches; None: the device's default
JOB = "job"  # selects a baseline by its name, which is its number in a sweep
MOST_LISTED = 12  # maximum number of jobs that a hint lists
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
                [Mistake("", _no_such_job(wanted), f"--baseline {_flag_value(wanted)}", _hint(entries, wanted))]
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
        problem = "cannot be compared with" if JOB in wanted else "has no baseline with"
        raise ConfigError([Mistake("", f"job {entry.name} {problem} {_shown(wanted)}", None, hint) for entry in alone])
    return partners


def _nearest(entry: Entry, bases: Sequence[Entry], by_model: bool) -> Entry | None:
    """Return the first candidate baseline. With `by_model`, prefer one with the model of the job."""
    alike = [one for one in bases if one.job.get("model") == entry.job.get("model")] if by_model else []
    return next(iter([*alike, *bases]), None)


def read_baseline(text: str | None) -> Mapping[str, str] | None:
    """Parse the value of `--baseline`: settings, such as `backend=pytorch,precision=fp32`, or the name of a job.

    Raises:
        ConfigError: the format is invalid.
    """
    if text is None:
        return None
    if text.strip() and "=" not in text:
        return {JOB: text.strip()}
    pairs = [part.partition("=") for part in text.split(",")]
    if any(not axis.strip() or not value.strip() for axis, _, value in pairs):
        hint = "use SETTING=VALUE,..., such as backend=pytorch,precision=fp32"
        raise ConfigError([Mistake("", f"'{text}' is not a valid baseline", f"--baseline {text}", hint)])
    return {axis.strip(): value.strip() for axis, _, value in pairs}


def _hint(entries: Sequence[Entry], wanted: Mapping[str, str]) -> str:
    """Return a hint that lists the values that the jobs have for these settings, or the jobs."""
    if JOB in wanted:
        load = [
            axis for axis in affecting(LOAD_KEY) if any(wanted[JOB] in _spellings(entry, axis) for entry in entries)
        ]
        if load:
            return f"did you mean --baseline {load[0]}={wanted[JOB]}?"
        labels = axes_of(entries)
        told = [_with_label(entry.name, labels[entry.name]) for entry in entries[:MOST_LISTED]]
        more = len(entries) - len(told)
        return f"jobs: {', '.join(told)}{f' and {more} more' if more > 0 else ''}"
    known = {axis: sorted({one for entry in entries for one in _spellings(entry, axis)}) for axis in wanted}
    return "; ".join(f"available for {axis}: {', '.join(values)}" for axis, values in known.items())


def _rest(entry: Entry) -> str:
    """Return the settings that a job and its baseline share: those that affect outputs, except the load key."""
    kept = {path: value for path, value in flat(entry.job) if not affects(path, others(SAME_BASELINE))}
    return json.dumps(kept, sort_keys=True, default=str)


def _check_axes(wanted: Mapping[str, str]) -> None:
    mistakes = []
    for axis in wanted:
        if axis != JOB and not affects(axis, LOAD_KEY):
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


def _no_such_job(wanted: Mapping[str, str]) -> str:
    return f"no job '{wanted[JOB]}'" if [*wanted] == [JOB] else f"no job has {_shown(wanted)}"


def _with_label(name: str, axes: Mapping[str, str]) -> str:
    label = " ".join(f"{axis}={value}" for axis, value in axes.items())
    return f"{name} ({label})" if label else name


def _flag_value(wanted: Mapping[str, str]) -> str:
    return wanted[JOB] if [*wanted] == [JOB] else _shown(wanted)


def _shown(wanted: Mapping[str, str]) -> str:
    return f"job {wanted[JOB]}" if [*wanted] == [JOB] else ",".join(f"{axis}={value}" for axis, value in wanted.items())


def _has(entry: Entry, wanted: Mapping[str, str]) -> bool:
    return all(
        value == entry.name if axis == JOB else value in _spellings(entry, axis) for axis, value in wanted.items()
    )


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
