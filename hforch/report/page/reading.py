"""A first look at what the page is to show: which samples can be read, how many inputs there are, how long it took."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import orjson

from hforch.compare.reading import Entry, lines_of
from hforch.runs.records import SAMPLES

TIMES = ("ttft_ms", "tpot_ms")
MOST_FAILED = 200  # of each job, so many inputs that it failed to answer are remembered
NAMED = 3  # broken lines that are told by number
SHAPE: Mapping[str, Any] = {
    "input_id": str,
    "index": int,
    "repeat": int,
    "text": (str, type(None)),
    "output_ids": (list, type(None)),
    "timings": dict,
    "error": (dict, type(None)),
}
"""What a line has to have to be a sample."""
MAY = {"prompt": str, "prompt_tokens": int, "output_tokens": int, "finish_reason": str, "checks": list}
"""What it may have besides, if not null."""


@dataclass
class Seen:
    """What a first look has found.

    Attributes:
        inputs: a hash of each input's identity.
        failed: inputs that a job has failed to answer.
        size: bytes of all samples.
        times: by job, the times of its answers, by name.
        missing: what cannot be shown, in words.
    """

    inputs: set[int] = field(default_factory=set)
    failed: dict[str, None] = field(default_factory=dict)
    size: int = 0
    times: dict[str, dict[str, array[float]]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def look(entries: Sequence[Entry]) -> tuple[list[Entry], Seen]:
    """The jobs, such that lines that are no samples are passed over; and what their samples are in short."""
    seen = Seen()
    return [_look(entry, seen) for entry in entries], seen


def _look(entry: Entry, seen: Seen) -> Entry:
    times = seen.times[entry.name] = {name: array("d") for name in TIMES}
    broken, failed, number = [], 0, 0
    for number, line in lines_of(entry):
        sample = _sample(line)
        if sample is None:
            broken.append(number)
            continue
        seen.size += len(line)
        seen.inputs.add(crc32(sample["input_id"].encode()))
        if sample["error"] is not None:
            failed += 1
            if failed <= MOST_FAILED:
                seen.failed[sample["input_id"]] = None
            continue
        for name, values in times.items():
            if isinstance(sample["timings"].get(name), int | float):
                values.append(sample["timings"][name])
    seen.missing += _missing(entry, broken, number)
    return replace(entry, broken=frozenset(broken))


def _sample(line: bytes) -> dict[str, Any] | None:
    try:
        sample = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return sample if isinstance(sample, dict) and _is_whole(sample) else None


def _is_whole(sample: Mapping[str, Any]) -> bool:
    if not all(isinstance(sample.get(name, ...), kind) for name, kind in SHAPE.items()):
        return False
    if not all(sample.get(name) is None or isinstance(sample[name], kind) for name, kind in MAY.items()):
        return False
    checks = sample.get("checks") or []
    if not all(isinstance(one, dict) and isinstance(one.get("name"), str) and "passed" in one for one in checks):
        return False
    return sample["error"] is not None or sample["text"] is not None


def _missing(entry: Entry, broken: Sequence[int], lines: int) -> list[str]:
    path = entry.samples / SAMPLES
    found = []
    if broken:
        numbers = ", ".join(map(str, broken[:NAMED])) + (", ..." if len(broken) > NAMED else "")
        found.append(f"job {entry.name}: {len(broken)} lines of {path} are no samples, and left out: {numbers}")
    if _is_torn(entry):
        found.append(f"job {entry.name}: the last line of {path} is torn, and left out")
    if not lines and entry.was_run:
        found.append(f"job {entry.name} has no samples")
    return found


def _is_torn(entry: Entry) -> bool:
    path = entry.samples / SAMPLES
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) != b"\n"
