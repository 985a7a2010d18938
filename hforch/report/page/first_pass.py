"""Scan the samples before the report is built: count inputs and failures, and find damaged lines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

from hforch.comparison.entries import Entry
from hforch.errors import ConfigError
from hforch.records.sample_lines import Samples, was_interrupted

MOST_FAILED = 200  # maximum number of failed inputs that are shown in addition to the sample
NOWHERE = Path(os.devnull) / "nothing"


@dataclass
class FirstPass:
    """The result of a scan of the samples.

    Attributes:
        inputs: a hash of each input id.
        failed: the ids of inputs for which a job failed.
        samples: the number of readable samples.
        answered: the number of samples that succeeded.
        interrupted: the number of samples that Ctrl-C ended.
        size: the size of all samples in bytes.
        missing: messages about data that cannot be shown.
        damaged: the number of jobs with invalid lines or unreadable samples.
    """

    inputs: set[int] = field(default_factory=set)
    failed: dict[str, None] = field(default_factory=dict)
    samples: int = 0
    answered: int = 0
    interrupted: int = 0
    size: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: int = 0


def first_pass(entries: Sequence[Entry]) -> tuple[list[Entry], FirstPass]:
    """Scan the samples of the jobs. Return the jobs, set to skip damaged lines, and the result."""
    seen, found = FirstPass(), []
    for entry in entries:
        try:
            found.append(_scan(entry, seen))
        except ConfigError as error:
            seen.damaged += 1
            seen.missing.append(f"cannot read the answers of job {entry.name}: {error.mistakes[0].problem}")
            found.append(replace(entry, samples=NOWHERE))
    return found, seen


def _scan(entry: Entry, seen: FirstPass) -> Entry:
    samples, failed, before = Samples(entry.samples, entry.record), 0, seen.samples
    for line, sample in samples.lines():
        seen.size += len(line)
        seen.samples += 1
        seen.inputs.add(crc32(sample["input_id"].encode()))
        if sample.get("error") is not None:
            if was_interrupted(sample):
                seen.interrupted += 1
                continue
            failed += 1
            if failed <= MOST_FAILED:
                seen.failed[sample["input_id"]] = None
            continue
        seen.answered += 1
    seen.missing += [f"job {entry.name}: {notice}" for notice in samples.notices()]
    seen.damaged += samples.left_out > 0
    if seen.samples == before and not samples.left_out and entry.was_run:
        seen.missing.append(f"job {entry.name} has no samples")
    return replace(entry, skips_damaged=True)
