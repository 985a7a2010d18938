"""Where the next-token distributions of a job and its baseline are furthest apart."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from hforch.comparison.entries import Entry
from hforch.records.fields import Finite
from hforch.records.record_files import SCORES
from hforch.utils.datafiles import lines_of, parse_line
from hforch.utils.paths import open_file

LEAST_KL = 0.01  # nats; what is less is not worth a look


class Reading(TypedDict):
    """A token that stands in a text."""

    id: int
    text: str


class TokenReading(Reading):
    """A token that may come next."""

    log_probability: Finite


@dataclass(frozen=True)
class DivergentToken:
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
    kl: Finite
    before: str
    read: Reading
    baseline: list[TokenReading]
    job: list[TokenReading]


def divergent_tokens(entry: Entry, number: int, broken: list[int]) -> list[DivergentToken]:
    """The positions of a job that is scored against a baseline with the largest divergence, the largest first.

    Args:
        broken: gets the numbers of lines that hold nothing of the kind.
    """
    apart = (one for one in all_divergent_tokens(entry, None, broken) if one.kl >= LEAST_KL)
    return heapq.nlargest(number, apart, key=lambda one: one.kl)


def all_divergent_tokens(entry: Entry, number: int | None, broken: list[int]) -> Iterator[DivergentToken]:
    """What is kept of each answer of the baseline's, the largest divergence first.

    Args:
        number: of each answer so many at most.
        broken: as for `divergent_tokens`.
    """
    path = entry.samples / SCORES
    try:
        file = open_file(path)
    except FileNotFoundError:
        return
    except OSError:
        broken.append(0)
        return
    with file:
        for at, line in enumerate(lines_of(file), 1):
            try:
                found = _of_line(line, number)
            except (ValueError, KeyError, TypeError):
                broken.append(at)
                continue
            yield from found


def _of_line(line: bytes, number: int | None) -> list[DivergentToken]:
    sample = parse_line(line)
    return [DIVERGENT.validate_python({"input_id": sample["input_id"], **one}) for one in sample["worst"][:number]]


DIVERGENT = TypeAdapter(DivergentToken)
