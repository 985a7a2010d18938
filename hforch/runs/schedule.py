"""The order in which the jobs of a sweep take turns. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """The part of a job that one call of `run_job` runs, if the job takes turns with others.

    Attributes:
        rounds_end: the number of rounds that are complete afterwards.
        is_first: whether it is the job's first part in this command.
        is_last: whether the job is scored and finished afterwards.
        measures: whether there are rounds to measure; otherwise the job is only scored and finished.
        interleaved: whether other jobs take turns with it.
        looked_early: whether the results decide when measuring stops.
    """

    rounds_end: int
    is_first: bool = True
    is_last: bool = True
    measures: bool = True
    interleaved: bool = True
    looked_early: bool = False


def turns(items: Sequence[Item], number: int) -> list[Item]:
    """Return the order of a round: A B C, then C B A, then A B C, ...

    Each job then comes equally often before and after each other one, and in two consecutive rounds the jobs have the
    same mean time of measurement, so a steady drift of the machine's speed affects all of them in the same way.

    Args:
        items: the jobs, in the order of the first round.
        number: the number of the round, from 0.
    """
    return list(items) if number % 2 == 0 else list(reversed(items))
