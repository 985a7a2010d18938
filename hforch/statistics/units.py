"""The contributions of a job's inputs to a metric, by which two jobs are paired."""

from __future__ import annotations

from array import array
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
        places: the position of each unit in `sums` and `weights`, by its id. Jobs and metrics may share it, which saves
            memory and pairs them without a search; units that one of them lacks then have the weight 0.
    """

    places: dict[str, int] = field(default_factory=dict)
    sums: array[float] = field(default_factory=lambda: array("d"))
    weights: array[float] = field(default_factory=lambda: array("d"))

    def add(self, unit: str, value: float, weight: float = 1.0) -> None:
        """Add a contribution to a unit."""
        place = self.places.setdefault(unit, len(self.places))
        if place >= len(self.sums):
            missing = bytes(8 * (place + 1 - len(self.sums)))
            self.sums.frombytes(missing)
            self.weights.frombytes(missing)
        self.sums[place] += value
        self.weights[place] += weight

    def __len__(self) -> int:
        """Return the number of units that contribute."""
        return sum(1 for weight in self.weights if weight)

    def arrays(self) -> tuple[Array, Array]:
        """Return the sums and the weights of the units that contribute."""
        sums, weights = self.padded(0)
        return sums[weights != 0], weights[weights != 0]

    def padded(self, length: int) -> tuple[Array, Array]:
        """Return the sums and the weights by position, with zeros up to a length."""
        import numpy

        missing = (0, max(0, length - len(self.sums)))
        return numpy.pad(numpy.array(self.sums), missing), numpy.pad(numpy.array(self.weights), missing)


def paired(one: Units, other: Units) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return the sums and weights of two jobs for the units to which both contribute, in the same order."""
    if one.places is not other.places:
        other = _with_places_of(one, other)
    length = max(len(one.sums), len(other.sums))
    mine, theirs = one.padded(length), other.padded(length)
    both = (mine[1] != 0) & (theirs[1] != 0)
    return (mine[0][both], mine[1][both]), (theirs[0][both], theirs[1][both])


def _with_places_of(one: Units, other: Units) -> Units:
    """Return the units of the second job to which both contribute, at the positions of the first job."""
    found = Units(one.places)
    for unit, place in other.places.items():
        if unit in one.places and place < len(other.sums):
            found.add(unit, other.sums[place], other.weights[place])
    return found
