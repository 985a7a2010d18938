"""Measure until it is decided: which verdict is reached for true gaps, with the margin and the noise floor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from bench.decisions.null import ALPHA, CONFIDENCE, LOOKS_FROM, apart
from bench.decisions.streams import Noise, in_turns
from bench.tables import Table
from hforch.statistics import rounds
from hforch.statistics.verdicts import Verdict, verdict

if TYPE_CHECKING:
    from bench.decisions.streams import Array

MARGIN, MOST_S = 0.02, 180
GAPS = (0.0, 0.01, 0.02, 0.05, 0.20)
FIXED = (5, 15, 60)


def until_decided(noises: Iterable[Noise], comparisons: int) -> Table:
    """Look after each round from the third on, until the verdict is not `undecided` or the time is over."""
    rows, missed = [], set()
    for noise in noises:
        most = math.floor(MOST_S / noise.seconds)
        for gap in GAPS:
            found = [decide(logs) for logs in _drawn(noise, gap, most, comparisons)]
            if _is_wrong(Counter(one for one, _ in found), gap, comparisons):
                missed.add(len(rows))
            shares = _shares(Counter(one for one, _ in found), comparisons)
            took = f"{median(number for _, number in found) * noise.seconds:.0f} s"
            rows.append((noise.name, f"{100 * gap:.0f}%", *shares, took))
    columns = ("noise", "true gap", "winner", "tie", "undecided", "median time")
    title = f"Verdicts when measured until decided, at most {MOST_S} s, margin {100 * MARGIN:.0f}%"
    return Table(title, columns, rows, frozenset(missed))


def after_rounds(noises: Iterable[Noise], comparisons: int) -> Table:
    """Look once, after a fixed number of rounds."""
    rows, missed = [], set()
    for noise in noises:
        for gap in GAPS:
            cells: list[str] = []
            for number in FIXED:
                found = Counter(_verdict(logs, looked=False) for logs in _drawn(noise, gap, number, comparisons))
                cells.append(" / ".join(_shares(found, comparisons)))
                if _is_wrong(found, gap, comparisons):
                    missed.add(len(rows))
            rows.append((noise.name, f"{100 * gap:.0f}%", *cells))
    columns = ("noise", "true gap", *(f"{number} rounds" for number in FIXED))
    title = f"Verdicts after a fixed number of rounds, margin {100 * MARGIN:.0f}%: winner / tie / undecided"
    return Table(title, columns, rows, frozenset(missed))


def decide(logs: Array) -> tuple[Verdict, int]:
    """Return the verdict at which measuring stops, and the number of rounds."""
    most = logs.shape[1]
    for number in range(LOOKS_FROM, most + 1):
        found = _verdict(logs[:, :number], looked=True)
        if found != "undecided":
            return found, number
    return "undecided", most


def _verdict(logs: Array, looked: bool) -> Verdict:
    effect = rounds.ratio_of_jobs(apart(logs), CONFIDENCE, looked)
    floor = rounds.distance_of_halves(logs.tolist())
    return verdict(effect, ALPHA, MARGIN, math.expm1(floor) if floor else 0.0)


def _drawn(noise: Noise, gap: float, length: int, comparisons: int) -> list[Array]:
    import numpy

    random = numpy.random.default_rng([length, round(1000 * gap)])
    return [in_turns(noise, random, length, gap) for _ in range(comparisons)]


def _shares(found: Counter[Verdict], comparisons: int) -> list[str]:
    return [f"{100 * found[one] / comparisons:.0f}%" for one in ("better", "tie", "undecided")]


def _is_wrong(found: Counter[Verdict], gap: float, comparisons: int) -> bool:
    """Return whether a winner without a gap, or a tie of jobs that are far apart, occurs too often."""
    from bench.decisions.null import tolerated

    wrong = found["tie"] if gap > MARGIN else found["better"] if not gap else 0
    return wrong > tolerated(comparisons)
