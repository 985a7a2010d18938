"""Which prompts share a batch: those of like length, for a batch costs as much as its longest prompt. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Result = TypeVar("Result")

WORTH_IT = 0.9
"""Prompts stay in the order given unless that saves a tenth of the padded length at least."""


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Places of prompts, batch by batch, from their lengths alone.

    Args:
        lengths: of each prompt, in any unit.
        size: the most prompts in a batch.

    Returns:
        batches of `size` places, the last one maybe smaller; in each the places ascend. The longest prompts come
        first, so that what does not fit into memory fails at once.
    """
    places = range(len(lengths))
    given = cut(places, size)
    planned = [sorted(batch) for batch in cut(sorted(places, key=lambda place: -lengths[place]), size)]
    return planned if padded(lengths, planned) < WORTH_IT * padded(lengths, given) else given


def padded(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> int:
    """The length that all prompts have together once each is filled up to the longest of its batch."""
    return sum(len(batch) * max(lengths[place] for place in batch) for batch in batches)


def in_order(batches: Sequence[Sequence[int]], results: Sequence[Sequence[Result]]) -> list[Result]:
    """The results of batches, each at its place."""
    at = {
        place: one for batch, row in zip(batches, results, strict=True) for place, one in zip(batch, row, strict=True)
    }
    return [at[place] for place in sorted(at)]


def cut(places: Sequence[int], size: int) -> list[list[int]]:
    """Places in their order, `size` at a time."""
    return [list(places[at : at + size]) for at in range(0, len(places), size)]
