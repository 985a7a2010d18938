"""What a benchmark is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.ratios import Ratio
from bench.scale import Scale
from bench.tables import Table

Found = Ratio | Table | str
"""A ratio (those of one benchmark become a table), a table, or a line to be shown at once."""


@dataclass(frozen=True)
class Bench:
    """Attributes:
    run: measures, and yields what it has found.
    minutes: about how long it takes on two cores.
    """

    run: Callable[[Scale], Iterator[Found]]
    minutes: int
