"""Checks of two jobs on the same inputs: what a paired test finds, and what an unpaired one finds."""

from __future__ import annotations

import math

from bench.decisions.null import ALPHA
from bench.tables import Table
from hforch.statistics.proportions import mcnemar

INPUTS, DIFFER, GAP, PASSED = 350, 0.09, 0.05, 0.7
FOUND = 0.8


def table(comparisons: int) -> Table:
    """Compare the power for inputs of which 9% are answered differently, 7% in favour of one job and 2% of the other.

    The second job passes 70%.
    """
    import numpy

    random = numpy.random.default_rng(0)
    gained, lost = (DIFFER + GAP) / 2, (DIFFER - GAP) / 2
    shares = (gained, lost, PASSED - lost, 1 - PASSED - gained)
    rows, missed = [], set()
    found = {"exact McNemar, paired": 0, "z test of two proportions, unpaired": 0, "Fisher's exact test, unpaired": 0}
    for more, less, both, _ in random.multinomial(INPUTS, shares, size=comparisons).tolist():
        found["exact McNemar, paired"] += mcnemar(more, less) <= ALPHA and more > less
        found["z test of two proportions, unpaired"] += _pooled_z(both + more, both + less, INPUTS) <= ALPHA
        found["Fisher's exact test, unpaired"] += _fisher(both + more, both + less, INPUTS) <= ALPHA
    for name, number in found.items():
        if not rows and number < FOUND * comparisons:
            missed.add(0)
        rows.append((name, f"{100 * number / comparisons:.1f}%", f"{100 * FOUND:.0f}%" if not rows else "-"))
    title = (
        f"A gap of 5 points in checks over {INPUTS} inputs, 9% of them answered differently, {comparisons} comparisons"
    )
    return Table(title, ("test", "found", "at least"), rows, frozenset(missed))


def _pooled_z(one: int, other: int, total: int) -> float:
    from scipy.special import ndtr

    share = (one + other) / (2 * total)
    z = (one - other) / total / math.sqrt(2 * share * (1 - share) / total)
    return float(2 * ndtr(-abs(z)))


def _fisher(one: int, other: int, total: int) -> float:
    from scipy.stats import fisher_exact

    return float(fisher_exact([[one, total - one], [other, total - other]]).pvalue)
