"""Two jobs of which one is faster: how often that is found within a time, with and without looking early."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from bench.decisions.null import ALPHA, CONFIDENCE, apart, unpaired
from bench.decisions.streams import Noise, in_turns
from bench.tables import Table
from hforch.statistics import rounds

if TYPE_CHECKING:
    from bench.decisions.streams import Array

SECONDS = (10, 20, 40, 60, 90, 120, 180)
"""Seconds of measurement of each job."""
GAPS = {0.05: 180, 0.20: 20}
"""The seconds within which a gap must be found."""
FOUND = 0.8


def table(noises: Iterable[Noise], comparisons: int) -> Table:
    rows, missed = [], set()
    for noise in noises:
        for gap, within in GAPS.items():
            for name, (finds, ours) in METHODS.items():
                curve = {seconds: _share(noise, gap, seconds, finds, comparisons) for seconds in SECONDS}
                if ours and curve[within] < FOUND:
                    missed.add(len(rows))
                cells = (f"{100 * one:.0f}%" for one in curve.values())
                rows.append((noise.name, f"{noise.seconds:.1f} s", f"{100 * gap:.0f}%", name, *cells))
    columns = ("noise", "measurement", "gap", "method", *(f"{seconds} s" for seconds in SECONDS))
    wanted = ", ".join(f"{100 * gap:.0f}% within {seconds} s" for gap, seconds in GAPS.items())
    title = f"Share of {comparisons} comparisons in which a gap is found; at least {100 * FOUND:.0f}% of {wanted}"
    return Table(title, columns, rows, frozenset(missed))


def _share(noise: Noise, gap: float, seconds: int, finds: Callable[[Array], bool], comparisons: int) -> float:
    import numpy

    random = numpy.random.default_rng([seconds, round(1000 * gap)])
    length = max(2, math.floor(seconds / noise.seconds))
    return sum(finds(in_turns(noise, random, length, gap)) for _ in range(comparisons)) / comparisons


def finds_fixed(logs: Array) -> bool:
    return _is_faster(logs, looked=False)


def finds_looked(logs: Array) -> bool:
    """Return whether the first job is shown to be faster after any round until now."""
    return _is_faster(logs, looked=True)


def finds_unpaired(logs: Array) -> bool:
    return unpaired(logs) and float(logs[0].mean()) > float(logs[1].mean())


METHODS: dict[str, tuple[Callable[[Array], bool], bool]] = {
    "t": (finds_fixed, True),
    "always valid, after each round": (finds_looked, True),
    "Welch": (finds_unpaired, False),
}
"""Each method, and whether hforch uses it."""


def _is_faster(logs: Array, looked: bool) -> bool:
    effect = rounds.ratio_of_jobs(apart(logs), CONFIDENCE, looked)
    return effect.p is not None and effect.p <= ALPHA and effect.value > 1
