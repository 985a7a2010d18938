"""Noise: ln(tokens/s) of consecutive measurements of one job, drawn from recorded series or from a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from bench.noise.series import Recording, Series, load_effect

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[numpy.float64]]
    Random = numpy.random.Generator

Draw = Callable[["Random", int], "Array"]
"""Returns ln(speed) of n consecutive measurements of the same job."""

BLOCK = 8  # consecutive measurements that are drawn together: four rounds of two jobs
SIGMA = 0.08


@dataclass(frozen=True)
class Noise:
    """Attributes:
    seconds: the duration of a measurement.
    load_effect: the standard deviation of ln(speed) between loads of the same job; each job of a comparison draws one.
    """

    name: str
    draw: Draw
    seconds: float = 1.5
    load_effect: float = 0.0


def modelled() -> list[Noise]:
    return [
        Noise("white", white),
        Noise("drifting", drifting),
        Noise("bursty", bursty),
        Noise("outliers", outliers),
    ]


def recorded(recording: Recording) -> list[Noise]:
    """Return the noise of each backend."""
    found = []
    for backend in recording.backends:
        pairs = recording.of(backend, "pair")
        if pairs:
            seconds = fmean(one for pair in pairs for one in pair.seconds)
            found.append(Noise(backend, blocks([centred(pair) for pair in pairs]), seconds))
    return found


def with_load_effect(recording: Recording) -> list[Noise]:
    """Return the noise of each backend, with a difference between loads as large as recorded."""
    found = []
    for noise in recorded(recording):
        between = load_effect(recording.of(noise.name, "pair")).between / math.sqrt(2)
        found.append(Noise(f"{noise.name}, kept loaded", noise.draw, noise.seconds, between))
    return found


def in_turns(noise: Noise, random: Random, rounds: int, gap: float = 0.0, jobs: int = 2) -> Array:
    """Return ln(speed) of each job (row) in each round (column), measured in turns: A B, B A.

    Args:
        gap: by which fraction the first job is faster than the others.
    """
    logs = noise.draw(random, rounds * jobs).reshape(rounds, jobs)
    logs[1::2] = logs[1::2, ::-1]
    return logs.T + _effects(noise, random, gap, jobs)


def one_after_the_other(noise: Noise, random: Random, rounds: int, gap: float = 0.0, jobs: int = 2) -> Array:
    """Return the same as `in_turns`, of jobs of which each is measured `rounds` times before the next one."""
    logs = noise.draw(random, rounds * jobs).reshape(jobs, rounds)
    return logs + _effects(noise, random, gap, jobs)


def _effects(noise: Noise, random: Random, gap: float, jobs: int) -> Array:
    """Return what is added to ln(speed) of each job, as a column."""
    import numpy

    effects = random.normal(0, noise.load_effect, jobs) if noise.load_effect else numpy.zeros(jobs)
    effects[0] += math.log1p(gap)
    return effects[:, None]


# ---------------------------------------------------------------- recorded
def centred(pair: Series) -> list[float]:
    """Return ln(speed) in the order of time, each load relative to its own mean."""
    means = [fmean(one) for one in pair.of_loads()]
    return [log - means[load] for log, load in zip(pair.logs, pair.loads, strict=True)]


def blocks(series: list[list[float]]) -> Draw:
    """Return a moving block bootstrap (Künsch 1989) of the series."""

    def draw(random: Random, n: int) -> Array:
        import numpy

        parts: list[list[float]] = []
        while len(parts) * BLOCK < n:
            one = series[random.integers(len(series))]
            start = int(random.integers(len(one) - BLOCK + 1))
            parts.append(one[start : start + BLOCK])
        return numpy.concatenate(parts)[:n]

    return draw


# ---------------------------------------------------------------- models
def white(random: Random, n: int) -> Array:
    return random.normal(0, SIGMA, n)


def drifting(random: Random, n: int) -> Array:
    """Return a random walk and a linear slowdown by 20%, with little white noise."""
    import numpy

    return random.normal(0, 0.03, n) + numpy.cumsum(random.normal(0, 0.02, n)) - numpy.linspace(0, 0.22, n)


def bursty(random: Random, n: int) -> Array:
    """Return the speed while another process is busy half of the time, for 8 measurements in a row on average.

    While it is busy, the job runs at 55 to 75% of its speed; a measurement during which it starts or ends is between.
    """
    import numpy

    fine = 10  # steps of each measurement
    changes = random.random(n * fine) < 1 / (8 * fine)
    busy = (numpy.cumsum(changes) + random.integers(2)) % 2
    speed = 1 - busy * numpy.repeat(random.uniform(0.25, 0.45, n), fine)
    return random.normal(0, 0.03, n) - numpy.log((1 / speed).reshape(n, fine).mean(axis=1))


def outliers(random: Random, n: int) -> Array:
    """Return little white noise; every twentieth measurement takes half as long again on average."""
    import numpy

    return random.normal(0, 0.03, n) - (random.random(n) < 0.05) * numpy.log1p(random.exponential(0.5, n))
