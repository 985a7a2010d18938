"""Warn about jobs whose compute precision this CPU emulates, or leave them out of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hforch.config.compose import Composed
from hforch.config.sweeps import Plan
from hforch.errors import ConfigError, Mistake
from hforch.launchers.base import Launcher
from hforch.runs.emulation import emulated
from hforch.runs.planned_job import PlannedJob, labels

KEY = "runtime.emulated"


def without_emulated(plan: Plan, launcher: Launcher) -> tuple[Plan, list[str]]:
    """Return the plan without the jobs to leave out (runtime.emulated=skip), and a line about them.

    A launcher that may run jobs on other machines runs all jobs.

    Raises:
        ConfigError: no job is left.
    """
    if not (launcher.run_by_hforch or launcher.divides_threads):
        return plan, []
    slow = {number for one, number in zip(plan.jobs, plan.numbers, strict=True) if _is_left_out(one)}
    if not slow:
        return plan, []
    if len(slow) == len(plan.jobs):
        what = f"all {len(slow)} jobs" if len(slow) > 1 else "the job"
        problem = f"leaves out {what}, as this CPU emulates the compute precision"
        raise ConfigError([Mistake(KEY, problem, plan.jobs[0].where(KEY), f"set {KEY}=warn to run them")])
    names = labels([one.task_overrides for one in plan.jobs])
    told = [name for name, number in zip(names, plan.numbers, strict=True) if number in slow]
    kept = [(one, number) for one, number in zip(plan.jobs, plan.numbers, strict=True) if number not in slow]
    left = replace(plan, jobs=tuple(one for one, _ in kept), numbers=tuple(number for _, number in kept))
    return left, [f"left out, as this CPU emulates their compute precision ({KEY}=warn runs them): {'; '.join(told)}"]


def _is_left_out(one: Composed) -> bool:
    return one.job.runtime.emulated == "skip" and emulated(one.job) is not None


def emulation_warnings(jobs: Sequence[PlannedJob]) -> list[str]:
    """Return a warning for each reason why jobs are slow, with the jobs."""
    found: dict[tuple[str, str | None], list[str]] = {}
    for one in jobs:
        if one.same_as is None and (slow := emulated(one.job)) is not None:
            found.setdefault((slow.problem, slow.hint), []).append(one.label)
    return [
        f"warning: {'; '.join(filter(None, named))}{': ' if any(named) else ''}{problem} ({hint})"
        for (problem, hint), named in found.items()
    ]
