"""Find the positions where the next-token distributions of a job and its baseline differ most."""

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

LEAST_KL = 0.01  # nats; smaller divergences are not shown


class Reading(TypedDict):
    """A token, with its id and text."""

    id: int
    text: str


class TokenReading(Reading):
    """A possible next token, with its log-probability."""

    log_probability: Finite


@dataclass(frozen=True)
class DivergentToken:
    """A position in a baseline answer, and the most likely tokens of both jobs there.

    Attributes:
        position: index of the token in the answer, from 0.
        kl: KL(baseline || job) at the position, in nats.
        before: the text before the position, or its end.
        read: the token at the position.
        baseline: the most likely tokens of the baseline.
        job: the most likely tokens of the job.
    """

    input_id: str
    position: int
    kl: Finite
    before: str
    read: Reading
    baseline: list[TokenReading]
    job: list[TokenReading]


def divergent_tokens(entry: Entry, number: int, broken: list[int]) -> list[DivergentToken]:
    """Return the positions with the largest divergence between a scored job and its baseline, in descending order.

    Args:
        broken: receives the numbers of invalid lines; 0 if the file cannot be read.
    """
    apart = (one for one in all_divergent_tokens(entry, None, broken) if one.kl >= LEAST_KL)
    return heapq.nlargest(number, apart, key=lambda one: one.kl)


def all_divergent_tokens(entry: Entry, number: int | None, broken: list[int]) -> Iterator[DivergentToken]:
    """Yield the stored positions of each baseline answer, those with the largest divergence first.

    Args:
        number: the maximum number of positions of each answer; None: all.
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
