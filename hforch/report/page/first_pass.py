"""A first look at what the page is to show: which samples can be read, and how many inputs there are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zlib import crc32

from hforch.comparison.entries import Entry
from hforch.errors import ConfigError
from hforch.records.sample_lines import Samples

MOST_FAILED = 200  # inputs that a job failed to answer are remembered, and shown besides those that are chosen
NOWHERE = Path(os.devnull) / "nothing"


@dataclass
class FirstPass:
    """What a first look has found.

    Attributes:
        inputs: a hash of each input's identity.
        failed: inputs that a job has failed to answer.
        samples, answered: how many could be read.
        size: bytes of all samples.
        missing: what cannot be shown, in words.
        damaged: how many jobs have lines that are no samples, or samples that cannot be read.
    """

    inputs: set[int] = field(default_factory=set)
    failed: dict[str, None] = field(default_factory=dict)
    samples: int = 0
    answered: int = 0
    size: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: int = 0


def first_pass(entries: Sequence[Entry]) -> tuple[list[Entry], FirstPass]:
    """The jobs, such that damaged lines are left out; and what their samples are in short."""
    seen, found = FirstPass(), []
    for entry in entries:
        try:
            found.append(_scan(entry, seen))
        except ConfigError as error:
            seen.damaged += 1
            seen.missing.append(f"the answers of job {entry.name} cannot be read: {error.mistakes[0].problem}")
            found.append(replace(entry, samples=NOWHERE))
    return found, seen


def _scan(entry: Entry, seen: FirstPass) -> Entry:
    samples, failed, before = Samples(entry.samples, entry.record), 0, seen.samples
    for line, sample in samples.lines():
        seen.size += len(line)
        seen.samples += 1
        seen.inputs.add(crc32(sample["input_id"].encode()))
        if sample.get("error") is not None:
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
