"""Coverage: how often an interval of 95% contains the true value, in simulations with a known one."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.decisions.metrics import METRICS, Draw
from bench.decisions.null import CONFIDENCE, apart
from bench.decisions.streams import Noise, in_turns
from bench.tables import Table
from hforch.statistics import rounds
from hforch.statistics.inputs import difference_of_jobs, mean_of_job
from hforch.statistics.units import Units

if TYPE_CHECKING:
    from bench.decisions.metrics import Job
    from bench.decisions.streams import Array
    from hforch.statistics.estimates import Interval

SIZES = (10, 50, 200, 1_000)
ROUNDS = (5, 10, 50)
AIM = (0.93, 0.97)
GAP = 0.05


def of_inputs(simulations: int) -> Table:
    rows, missed = [], set()
    for number, (name, draw) in enumerate(METRICS.items()):
        found = [_coverage(draw, size, simulations, number) for size in SIZES]
        if not all(_is_met(covered, simulations) for covered, _ in found):
            missed.add(len(rows))
        rows.append((name, *(f"{100 * covered:.1f}% ({width:.2g})" for covered, width in found)))
    columns = ("metric", *(f"{size:,} inputs (median width)" for size in SIZES))
    return Table(_title("inputs", simulations), columns, rows, frozenset(missed))


def of_rounds(noises: Iterable[Noise], simulations: int) -> Table:
    import numpy

    rows, missed = [], set()
    for number, noise in enumerate(noises):
        for name, looked in (("t", False), ("always valid", True)):
            random = numpy.random.default_rng([number, looked])
            cells = []
            for length in ROUNDS:
                inside = 0
                for _ in range(simulations):
                    ratios = apart(in_turns(noise, random, length, GAP))
                    interval = rounds.ratio_of_jobs(ratios, CONFIDENCE, looked).interval
                    inside += interval is not None and 1 + GAP in interval
                cells.append(f"{100 * inside / simulations:.1f}%")
                if not looked and not _is_met(inside / simulations, simulations):
                    missed.add(len(rows))
            rows.append((noise.name, name, *cells))
    columns = ("noise", "interval", *(f"{length} rounds" for length in ROUNDS))
    return Table(_title("rounds", simulations), columns, rows, frozenset(missed))


def _title(of: str, simulations: int) -> str:
    return f"Coverage of {100 * CONFIDENCE:.0f}% intervals over {of}, {simulations:,} simulations each"


def _is_met(covered: float, simulations: int) -> bool:
    return simulations < 100 or AIM[0] <= covered <= AIM[1]


def _coverage(draw: Draw, size: int, simulations: int, seed: int) -> tuple[float, float]:
    """Return the fraction of intervals that contain the true value, and their median width.

    If all inputs have the same value, there is no interval; such a simulation does not count.
    """
    import numpy

    random, inside, widths = numpy.random.default_rng([seed, size]), 0, []
    while len(widths) < simulations:
        jobs, true = draw(random, size)
        if interval := interval_of(jobs):
            inside += true in interval
            widths.append(interval.high - interval.low)
    return inside / simulations, float(numpy.median(widths))


def interval_of(jobs: list[Job]) -> Interval | None:
    made = [_units(*job) for job in jobs]
    if len(made) == 1:
        return mean_of_job(made[0], CONFIDENCE).interval
    return difference_of_jobs(made[0], made[1], CONFIDENCE).interval


def _units(sums: Array, weights: Array) -> Units:
    places = {str(number): number for number in range(len(sums))}
    return Units(places, array("d", sums.tolist()), array("d", weights.tolist()))
