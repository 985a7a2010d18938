"""Coverage: how often an interval of 95% contains the true value, in simulations with a known one."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.decisions.null import CONFIDENCE, apart
from bench.decisions.streams import Noise, in_turns
from bench.tables import Table
from hforch.statistics import rounds
from hforch.statistics.inputs import difference_of_jobs, mean_of_job
from hforch.statistics.units import Units

if TYPE_CHECKING:
    from bench.decisions.streams import Array, Random
    from hforch.statistics.estimates import Interval

SIZES = (10, 50, 1_000)
ROUNDS = (5, 10, 50)
AIM = (0.93, 0.97)
GAP = 0.05
TOKENS = (20, 49)  # of an answer

Job = tuple["Array", "Array"]
"""The sums and the weights of the inputs of one job."""


@dataclass(frozen=True)
class Case:
    """Attributes:
    draw: returns one job, or two jobs with the same inputs.
    true: sum / weight of the job, or the difference of the two.
    """

    name: str
    draw: Callable[[Random, int], list[Job]]
    true: float


def of_inputs(simulations: int) -> Table:
    rows, missed = [], set()
    for number, case in enumerate(cases()):
        cells: list[str] = []
        for size in SIZES:
            covered, without, width = _coverage(case, size, simulations, number)
            cells += [f"{100 * covered:.1f}%", f"{width:.3f}", f"{100 * without:.0f}%"]
            if not _is_met(covered, simulations):
                missed.add(len(rows))
        rows.append((case.name, *cells))
    columns = [cell for size in SIZES for cell in (f"{size:,} inputs", "width", "none")]
    return Table(_title("inputs", simulations), ("metric", *columns), rows, frozenset(missed))


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


def _coverage(case: Case, size: int, simulations: int, seed: int) -> tuple[float, float, float]:
    """Return the fraction of intervals that contain the true value, that of no intervals, and the median width."""
    import numpy

    random, inside, without = numpy.random.default_rng([seed, size]), 0, 0
    widths = []
    for _ in range(simulations):
        interval = interval_of(case.draw(random, size))
        if interval is None:
            without += 1
        else:
            inside += case.true in interval
            widths.append(interval.high - interval.low)
    return inside / max(1, simulations - without), without / simulations, float(numpy.median(widths or [0]))


def interval_of(jobs: list[Job]) -> Interval | None:
    made = [_units(*job) for job in jobs]
    if len(made) == 1:
        return mean_of_job(made[0], CONFIDENCE).interval
    return difference_of_jobs(made[0], made[1], CONFIDENCE).interval


def _units(sums: Array, weights: Array) -> Units:
    places = {str(number): number for number in range(len(sums))}
    return Units(places, array("d", sums.tolist()), array("d", weights.tolist()))


# ---------------------------------------------------------------- cases
def cases() -> list[Case]:
    return [
        Case("checks passed, 70%", passed(0.7), 0.7),
        Case("checks passed, 95%", passed(0.95), 0.95),
        Case("checks, 9% differ, gap of 5 points", paired_checks(0.07, 0.02), 0.05),
        Case("checks, 55% differ, gap of 15 points", paired_checks(0.35, 0.20), 0.15),
        Case("checks, 3 for each input", three_checks, 0.0),
        Case("KL of one job", kl_divergence, math.exp(-3 + 0.5)),
        Case("KL, two correlated jobs", two_kl, (1 - 1.3) * math.exp(-3 + 0.5)),
        Case("edit similarity of one job, 60% equal", edit_similarity, 1 - 0.4 * (1 - 2 / 3)),
        Case("edit similarity, two jobs, 60% equal in both", two_edit_similarities, 0.4 * (2 / 3 - 0.5)),
        Case("perplexity by window (ln)", perplexity, 2.5),
        Case("normal, two correlated jobs", two_normal, 0.1),
    ]


def passed(rate: float) -> Callable[[Random, int], list[Job]]:
    def draw(random: Random, n: int) -> list[Job]:
        return [_weightless((random.random(n) < rate).astype(float))]

    return draw


def paired_checks(gained: float, lost: float) -> Callable[[Random, int], list[Job]]:
    def draw(random: Random, n: int) -> list[Job]:
        both = (1 - gained - lost) * 0.8
        at = random.random(n)
        mine = at < both + gained
        theirs = (at < both) | ((both + gained <= at) & (at < both + gained + lost))
        return [_weightless(mine.astype(float)), _weightless(theirs.astype(float))]

    return draw


def three_checks(random: Random, n: int) -> list[Job]:
    """Return the passed of three checks of each input, which is as hard for both jobs."""
    easy = random.beta(2, 1, n)
    weights = random.choice([3.0], n)
    return [(random.binomial(3, easy) / 1.0, weights), (random.binomial(3, easy) / 1.0, weights)]


def kl_divergence(random: Random, n: int) -> list[Job]:
    """Return nats and positions; nats per position are lognormal with sigma 1 between inputs."""
    tokens = random.integers(*TOKENS, n).astype(float)
    return [(tokens * random.lognormal(-3, 1, n), tokens)]


def two_kl(random: Random, n: int) -> list[Job]:
    """Return two jobs with the same inputs and a correlation of 0.8 of ln(nats); the second one has 30% more."""
    tokens = random.integers(*TOKENS, n).astype(float)
    same, one, other = random.normal(size=(3, n))
    nats = [math.sqrt(0.8) * same + math.sqrt(0.2) * own - 3 for own in (one, other)]
    import numpy

    return [(tokens * numpy.exp(nats[0]), tokens), (1.3 * tokens * numpy.exp(nats[1]), tokens)]


def edit_similarity(random: Random, n: int) -> list[Job]:
    """Return 1 for 60% of the inputs, Beta(4, 2) for the others."""
    changed = random.random(n) < 0.4
    return [_weightless(1 - changed * (1 - random.beta(4, 2, n)))]


def two_edit_similarities(random: Random, n: int) -> list[Job]:
    """Return two jobs that differ from the baseline in the same 40% of the inputs, Beta(4, 2) and Beta(3, 3)."""
    changed = random.random(n) < 0.4
    return [_weightless(1 - changed * (1 - random.beta(*shape, n))) for shape in ((4, 2), (3, 3))]


def perplexity(random: Random, n: int) -> list[Job]:
    """Return nats and tokens of windows, of which some are shorter."""
    tokens = random.choice([256.0, 512.0], n, p=[0.1, 0.9])
    return [(tokens * random.normal(2.5, 0.3, n), tokens)]


def two_normal(random: Random, n: int) -> list[Job]:
    same = random.normal(0, 1, n)
    return [_weightless(same + random.normal(0.1, 0.5, n)), _weightless(same + random.normal(0, 0.5, n))]


def _weightless(sums: Array) -> Job:
    import numpy

    return sums, numpy.ones(len(sums))
