"""Two equal jobs, measured in turns: how often a winner is named, although they are equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.decisions.streams import Noise, in_turns, one_after_the_other
from bench.tables import Table
from hforch.statistics import rounds

if TYPE_CHECKING:
    from bench.decisions.streams import Array

ALPHA, CONFIDENCE = 0.05, 0.95
FEW, SOME, MANY = 5, 15, 60
LOOKS_FROM = 3
Names = Callable[["Array"], bool]
"""Returns whether a winner is named, from ln(speed) of each job (row) in each round (column)."""


@dataclass(frozen=True)
class Method:
    """Attributes:
    ours: whether hforch uses it.
    in_turns: whether the jobs are measured in turns, or one after the other.
    """

    names: Names
    rounds: int
    ours: bool = True
    in_turns: bool = True


def table(noises: Iterable[Noise], comparisons: int, title: str) -> Table:
    most = tolerated(comparisons)
    rows, missed = [], set()
    for number, noise in enumerate(noises):
        shares = {name: share(noise, method, comparisons, number) for name, method in METHODS.items()}
        if any(METHODS[name].ours and one * comparisons > most for name, one in shares.items()):
            missed.add(len(rows))
        rows.append((noise.name, *(f"{100 * one:.1f}%" for one in shares.values())))
    return Table(title, ("noise", *METHODS), rows, frozenset(missed))


def tolerated(comparisons: int, alpha: float = ALPHA) -> int:
    """Return the largest number of named winners that is not significantly more than a fraction alpha."""
    from scipy.stats import binom

    return int(binom.ppf(0.95, comparisons, alpha))


def share(noise: Noise, method: Method, comparisons: int, seed: int) -> float:
    import numpy

    random = numpy.random.default_rng([seed, method.rounds])
    arrange = in_turns if method.in_turns else one_after_the_other
    return sum(method.names(arrange(noise, random, method.rounds)) for _ in range(comparisons)) / comparisons


def fixed(logs: Array) -> bool:
    return _is_shown(apart(logs), looked=False)


def looked(logs: Array) -> bool:
    """Return whether any look at the results, after each round, names a winner; `p` is the smallest so far."""
    return _is_shown(apart(logs), looked=True)


def peeking(logs: Array) -> bool:
    """Return whether the t test is significant after any round."""
    ratios = apart(logs)
    return any(_is_shown(ratios[:n], looked=False) for n in range(LOOKS_FROM, len(ratios) + 1))


def unpaired(logs: Array) -> bool:
    from scipy.stats import ttest_ind

    return bool(ttest_ind(logs[0], logs[1], equal_var=False).pvalue <= ALPHA)


METHODS = {
    f"t, {FEW} rounds": Method(fixed, FEW),
    f"t, {SOME} rounds": Method(fixed, SOME),
    f"t, {MANY} rounds": Method(fixed, MANY),
    f"always valid, after each of {MANY} rounds": Method(looked, MANY),
    f"t, after each of {MANY} rounds": Method(peeking, MANY, ours=False),
    f"Welch, {SOME} rounds": Method(unpaired, SOME, ours=False),
    f"Welch, one job after the other, {SOME} repeats": Method(unpaired, SOME, ours=False, in_turns=False),
}


def apart(logs: Array, one: int = 0, other: int = 1) -> list[float]:
    found: list[float] = (logs[one] - logs[other]).tolist()
    return found


def _is_shown(ratios: Sequence[float], looked: bool) -> bool:
    p = rounds.ratio_of_jobs(ratios, CONFIDENCE, looked).p
    return p is not None and p <= ALPHA
