"""A first look at what the page is to show: which samples can be read, how many inputs there are, how long it took."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

from hforch.compare.reading import Entry, lines_of
from hforch.compare.shape import sample_of
from hforch.runs.records import SAMPLES

TIMES = ("ttft_ms", "tpot_ms")
MOST_FAILED = 200  # inputs that a job failed to answer are remembered, and shown besides those that are chosen
NOWHERE = Path(os.devnull) / "nothing"
NAMED = 3  # broken lines that are told by number


@dataclass
class Seen:
    """What a first look has found.

    Attributes:
        inputs: a hash of each input's identity.
        failed: inputs that a job has failed to answer.
        samples, answered: how many could be read.
        size: bytes of all samples.
        times: by job, the times of its answers, by name.
        missing: what cannot be shown, in words.
    """

    inputs: set[int] = field(default_factory=set)
    failed: dict[str, None] = field(default_factory=dict)
    samples: int = 0
    answered: int = 0
    size: int = 0
    times: dict[str, dict[str, array[float]]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def look(entries: Sequence[Entry]) -> tuple[list[Entry], Seen]:
    """The jobs, such that lines that are no samples are passed over; and what their samples are in short."""
    seen, found = Seen(), []
    for entry in entries:
        try:
            found.append(_look(entry, seen))
        except (OSError, ValueError) as error:
            seen.missing.append(f"the answers of job {entry.name} cannot be read: {error}")
            found.append(replace(entry, samples=NOWHERE))
    return found, seen


def _look(entry: Entry, seen: Seen) -> Entry:
    times = seen.times[entry.name] = {name: array("d") for name in TIMES}
    broken, failed, number = [], 0, 0
    for number, line in lines_of(entry):
        sample = sample_of(line)
        if sample is None:
            broken.append(number)
            continue
        seen.size += len(line)
        seen.samples += 1
        seen.inputs.add(crc32(sample["input_id"].encode()))
        if sample.get("error") is not None:
            failed += 1
            if failed <= MOST_FAILED:
                seen.failed[sample["input_id"]] = None
            continue
        seen.answered += 1
        for name, values in times.items():
            if name in sample["timings"]:
                values.append(sample["timings"][name])
    seen.missing += _missing(entry, broken, number)
    return replace(entry, broken=frozenset(broken))


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
