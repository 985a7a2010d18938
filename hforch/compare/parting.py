"""Where the next-token distributions of a job and its baseline are furthest apart."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hforch.compare.reading import Entry
from hforch.runs.records import SCORES

APART = 0.01  # nats; what is less is not worth a look


@dataclass(frozen=True)
class Parting:
    """A position in an answer of the baseline's, and what both would have said there.

    Attributes:
        position: in tokens of the answer, from 0 on.
        kl: KL(baseline || job) there, in nats.
        before: the text before it, or its end.
        read: the token that stands there.
        baseline, job: the likeliest tokens of both, with log-probabilities.
    """

    input_id: str
    position: int
    kl: float
    before: str
    read: Mapping[str, Any]
    baseline: Sequence[Mapping[str, Any]]
    job: Sequence[Mapping[str, Any]]


def partings(entry: Entry, number: int) -> list[Parting]:
    """The positions of a job that is scored against a baseline with the largest divergence, the largest first."""
    apart = (one for one in all_partings(entry) if one.kl >= APART)
    return heapq.nlargest(number, apart, key=lambda one: one.kl)


def all_partings(entry: Entry, number: int | None = None) -> Iterator[Parting]:
    """What is kept of each answer of the baseline's, the largest divergence first; `number` of each at most."""
    path = entry.samples / SCORES
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file, suppress(ValueError, KeyError, TypeError):  # one that is torn ends there
        for line in file:
            sample = json.loads(line)
            yield from (Parting(input_id=sample["input_id"], **one) for one in sample["worst"][:number])
