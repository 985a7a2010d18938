"""The definition of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.ratios import Ratio
from bench.scale import Scale
from bench.tables import Table

Found = Ratio | Table | str
"""A ratio (those of a benchmark are joined to a table), a table, or a line that is printed immediately."""


@dataclass(frozen=True)
class Bench:
    """Attributes:
    run: measures, and yields results.
    minutes: the approximate duration on two cores.
    """

    run: Callable[[Scale], Iterator[Found]]
    minutes: int
