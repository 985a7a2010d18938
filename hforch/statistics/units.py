"""The contributions of a job's inputs to a metric, by which two jobs are paired."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[numpy.float64]]


@dataclass
class Units:
    """A metric as a ratio of sums over units, which are usually inputs with all their samples and repeats.

    The metric is sum(sums) / sum(weights): for checks, passed and total checks of each input; for KL divergence, nats
    and positions.

    Attributes:
        places: the position of each unit in `sums` and `weights`, by its id.
    """

    places: dict[str, int] = field(default_factory=dict)
    sums: array[float] = field(default_factory=lambda: array("d"))
    weights: array[float] = field(default_factory=lambda: array("d"))

    def add(self, unit: str, value: float, weight: float = 1.0) -> None:
        """Add a contribution to a unit."""
        place = self.places.setdefault(unit, len(self.sums))
        if place == len(self.sums):
            self.sums.append(0.0)
            self.weights.append(0.0)
        self.sums[place] += value
        self.weights[place] += weight

    def __len__(self) -> int:
        return len(self.sums)

    def arrays(self, ids: Sequence[str] | None = None) -> tuple[Array, Array]:
        """Return the sums and the weights, of all units or of those with these ids, in their order."""
        import numpy

        sums, weights = numpy.array(self.sums), numpy.array(self.weights)
        if ids is None:
            return sums, weights
        at = [self.places[one] for one in ids]
        return sums[at], weights[at]


def paired(one: Units, other: Units) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return the sums and weights of two jobs for the units that both have, in the order of the first."""
    if list(one.places) == list(other.places):
        return one.arrays(), other.arrays()
    ids = [unit for unit in one.places if unit in other.places]
    return one.arrays(ids), other.arrays(ids)
