"""Simulated metrics over inputs, with known true values: skewed, with many equal inputs, correlated between jobs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.decisions.streams import Array, Random

Job = tuple["Array", "Array"]
"""The sums and the weights of the inputs of one job."""
Drawn = tuple[list[Job], float]
"""One job, or two jobs with the same inputs; and sum / weight of the job, or the difference of the two."""
Draw = Callable[["Random", int], Drawn]

TOKENS = (20, 49)  # of an answer
KL, CORRELATION, MORE = -4.9, 0.8, 1.3
SPREAD, LARGE_SPREAD = 0.6, 1.0
"""Standard deviations of ln(nats per position) between inputs; int8 weights of SmolLM2 have 0.34 on 64 chat prompts."""


def passed(random: Random, n: int) -> Drawn:
    """Return checks that pass at any rate from 50 to 98%.

    The coverage for one rate depends on how it fits the possible numbers of passed checks; what counts is the mean over
    rates (Brown, Cai and DasGupta 2001).
    """
    rate = random.uniform(0.5, 0.98)
    return [_equal_weights((random.random(n) < rate).astype(float))], float(rate)


def paired_checks(gained: float, lost: float) -> Draw:
    def draw(random: Random, n: int) -> Drawn:
        both = (1 - gained - lost) * 0.8
        at = random.random(n)
        mine = at < both + gained
        theirs = (at < both) | ((both + gained <= at) & (at < both + gained + lost))
        return [_equal_weights(mine.astype(float)), _equal_weights(theirs.astype(float))], gained - lost

    return draw


def three_checks(random: Random, n: int) -> Drawn:
    """Return three checks of each input, which is as hard for both jobs."""
    easy, weights = random.beta(2, 1, n), random.choice([3.0], n)
    return [(random.binomial(3, easy) * 1.0, weights) for _ in range(2)], 0.0


def kl_divergence(spread: float) -> Draw:
    """Return nats and positions of one job; nats per position are lognormal."""

    def draw(random: Random, n: int) -> Drawn:
        tokens = _tokens(random, n)
        return [(tokens * random.lognormal(KL, spread, n), tokens)], math.exp(KL + spread**2 / 2)

    return draw


def two_kl(spread: float) -> Draw:
    """Return two jobs with the same inputs and correlated ln(nats); the second one has 30% more nats."""

    def draw(random: Random, n: int) -> Drawn:
        import numpy

        tokens = _tokens(random, n)
        same, one, other = random.normal(size=(3, n))
        shared, own = math.sqrt(CORRELATION) * same, math.sqrt(1 - CORRELATION)
        nats = [numpy.exp(KL + spread * (shared + own * each)) for each in (one, other)]
        true = (1 - MORE) * math.exp(KL + spread**2 / 2)
        return [(tokens * nats[0], tokens), (MORE * tokens * nats[1], tokens)], true

    return draw


def edit_similarity(random: Random, n: int) -> Drawn:
    """Return 1 for 60% of the inputs, Beta(4, 2) for the others."""
    changed = random.random(n) < 0.4
    return [_equal_weights(1 - changed * (1 - random.beta(4, 2, n)))], 1 - 0.4 / 3


def two_edit_similarities(random: Random, n: int) -> Drawn:
    """Return two jobs that differ from the baseline in the same 40% of the inputs, Beta(4, 2) and Beta(3, 3)."""
    changed = random.random(n) < 0.4
    both = [_equal_weights(1 - changed * (1 - random.beta(*shape, n))) for shape in ((4, 2), (3, 3))]
    return both, 0.4 * (2 / 3 - 1 / 2)


def perplexity(random: Random, n: int) -> Drawn:
    """Return nats and tokens of windows, of which a tenth is shorter."""
    tokens = random.choice([256.0, 512.0], n, p=[0.1, 0.9])
    return [(tokens * random.normal(2.5, 0.3, n), tokens)], 2.5


def two_normal(random: Random, n: int) -> Drawn:
    same = random.normal(0, 1, n)
    return [_equal_weights(same + random.normal(mean, 0.5, n)) for mean in (0.1, 0.0)], 0.1


def _tokens(random: Random, n: int) -> Array:
    return random.integers(*TOKENS, n).astype(float)


def _equal_weights(sums: Array) -> Job:
    import numpy

    return sums, numpy.ones(len(sums))


METRICS: dict[str, Draw] = {
    "checks passed, 50 to 98%": passed,
    "checks, 9% differ, gap of 5 points": paired_checks(0.07, 0.02),
    "checks, 55% differ, gap of 15 points": paired_checks(0.35, 0.20),
    "checks, three for each input": three_checks,
    "KL of one job": kl_divergence(SPREAD),
    "KL of one job, few inputs with most of it": kl_divergence(LARGE_SPREAD),
    "KL, two jobs": two_kl(SPREAD),
    "KL, two jobs, few inputs with most of it": two_kl(LARGE_SPREAD),
    "edit similarity of one job, 60% equal": edit_similarity,
    "edit similarity, two jobs, 60% equal": two_edit_similarities,
    "perplexity by window, ln": perplexity,
    "normal, two jobs": two_normal,
}
