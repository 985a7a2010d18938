"""Check `runtime.measure`, with which the results decide when a sweep stops measuring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from hforch.comparison.bounds import read_optimize
from hforch.comparison.choosing import Rules, rank
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.config.schema import Job, Measure
from hforch.errors import ConfigError, Mistake
from hforch.launchers.base import Launcher
from hforch.metrics.registry import BY_NAME
from hforch.runs.mode import RunMode

Locate = Callable[[Sequence[Mistake]], list[Mistake]]


def why_decided(directory: Path, measure: Measure) -> str | None:
    """Return why a sweep can stop measuring: a job is shown to be the best, or several to be as good; None if neither.

    Args:
        directory: the directory of the sweep, whose jobs are still being measured.
    """
    found = compare(read_jobs([directory]), worst=0, confidence=measure.confidence)
    metric = BY_NAME[read_optimize(measure.optimize)[0]]
    ranking = rank(found.rows, metric, Rules(measure.confidence, measure.margin, found.drifts))
    if isinstance(ranking, str) or ranking.outcome == "undecided":
        return None
    if ranking.outcome == "tie":
        return f"jobs {', '.join(row.entry.name for row in ranking.tied)} tie in {metric.name}"
    return f"job {ranking.best.entry.name} has the {'highest' if metric.is_higher_better else 'lowest'} {metric.name}"


def measure_mistakes(
    jobs: Sequence[Job], locators: Sequence[Locate], mode: RunMode, launcher: Launcher
) -> list[Mistake]:
    """Return the errors in `runtime.measure` that concern the command as a whole.

    Args:
        locators: for each job, a function that adds to errors where their values were set.
    """
    asking = [(job.runtime.measure, locate) for job, locate in zip(jobs, locators, strict=True)]
    asking = [(measure, locate) for measure, locate in asking if measure.until is not None]
    if not asking:
        return []
    measure, locate = asking[0]
    found: list[Mistake] = []
    until, fixed = "runtime.measure.until", "or measure a fixed number of rounds: runtime.measure.until=null"
    if not mode.has_summary:
        problem = "there is nothing to decide in a single run, which has one job"
        found.append(Mistake(until, problem, None, f"run a sweep (-m), {fixed}"))
    elif len(jobs) == 1:
        problem = "there is nothing to decide in a sweep of one job"
        found.append(Mistake(until, problem, None, f"add jobs to compare, {fixed}"))
    elif not launcher.run_by_hforch:
        problem = "jobs of this launcher do not take turns, so measuring cannot stop when they are decided"
        found.append(Mistake(until, problem, None, f"use hydra/launcher=basic, {fixed}"))
    try:
        read_optimize(measure.optimize)
    except ConfigError as error:
        found += [replace(one, path="runtime.measure.optimize", where=None) for one in error.mistakes]
    whole = {job.runtime.measure.model_dump_json() for job in jobs}
    if len(whole) > 1:
        problem = "must be the same in all jobs of a sweep, which stop measuring together"
        found.append(Mistake("runtime.measure", problem, None, "set it once, without several values"))
    return locate(found)
