"""Group prompts of similar length into batches, because each batch is padded to its longest prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Result = TypeVar("Result")

WORTH_IT = 0.9
"""Prompts are only reordered if that reduces the padded length by at least a tenth."""


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Return batches of prompt positions, grouped by length.

    Args:
        lengths: length of each prompt, in any unit.
        size: maximum number of prompts in a batch.

    Returns:
        Batches of `size` positions in ascending order; the last may be smaller. If reordered, the batch with the
        longest prompts comes first, so that running out of memory happens early.
    """
    places = range(len(lengths))
    given = cut(places, size)
    planned = [sorted(batch) for batch in cut(sorted(places, key=lambda place: -lengths[place]), size)]
    return planned if padded(lengths, planned) < WORTH_IT * padded(lengths, given) else given


def padded(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> int:
    """Return the total length of all prompts after each is padded to the longest of its batch."""
    return sum(len(batch) * max(lengths[place] for place in batch) for batch in batches)


def in_order(batches: Sequence[Sequence[int]], results: Sequence[Sequence[Result]]) -> list[Result]:
    """Return the results of batches in the order of the prompts."""
    at = {
        place: one for batch, row in zip(batches, results, strict=True) for place, one in zip(batch, row, strict=True)
    }
    return [at[place] for place in sorted(at)]


def cut(places: Sequence[int], size: int) -> list[list[int]]:
    """Split positions into batches of `size`, in their order."""
    return [list(places[at : at + size]) for at in range(0, len(places), size)]
