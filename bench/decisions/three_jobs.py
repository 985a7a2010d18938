"""Three jobs: Holm's correction of the comparisons of the best job with the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.decisions.null import ALPHA, CONFIDENCE, apart, tolerated
from bench.decisions.streams import Noise, in_turns
from bench.tables import Table
from hforch.statistics import rounds
from hforch.statistics.multiple import holm

if TYPE_CHECKING:
    from bench.decisions.streams import Array

JOBS, FIXED, MANY, GAP = 3, 15, 60, 0.05
HOW = {f"t, {FIXED} rounds": (FIXED, False), f"always valid, after each of {MANY} rounds": (MANY, True)}


def table(noises: Iterable[Noise], comparisons: int) -> Table:
    """Compare the job that seems the best with each other one, as `hforch compare` does."""
    import numpy

    rows, missed = [], set()
    for number, noise in enumerate(noises):
        for name, (length, looked) in HOW.items():
            cells = []
            for gap in (0.0, GAP):
                random = numpy.random.default_rng([number, length, round(100 * gap)])
                drawn = [in_turns(noise, random, length, gap, JOBS) for _ in range(comparisons)]
                shown = [better_than(logs, looked) for logs in drawn]
                first = [one if best == 0 else 0 for best, one in shown]
                all_others = sum(one == JOBS - 1 for one in first) if gap else sum(one == JOBS - 1 for _, one in shown)
                cells.append(f"{100 * all_others / comparisons:.1f}%")
                if not gap:
                    cells.append(f"{100 * sum(one > 0 for _, one in shown) / comparisons:.1f}%")
                    if all_others > tolerated(comparisons):
                        missed.add(len(rows))
            rows.append((noise.name, name, *cells))
    columns = ("noise", "method", "better than both", "better than one", f"found if {100 * GAP:.0f}% faster than both")
    return Table(
        "Three equal jobs, with Holm's correction: how often the best is named better", columns, rows, frozenset(missed)
    )


def better_than(logs: Array, looked: bool) -> tuple[int, int]:
    """Return the job with the highest mean, and the number of jobs than which it is shown to be better.

    With always-valid p-values, which only fall from round to round for each pair, one look at the end finds what looks
    after each round would have found for that job.
    """
    best = int(logs.mean(axis=1).argmax())
    others = [other for other in range(len(logs)) if other != best]
    effects = [rounds.ratio_of_jobs(apart(logs, best, other), CONFIDENCE, looked) for other in others]
    return best, sum(p <= ALPHA for p in holm([1.0 if one.p is None else one.p for one in effects]))
