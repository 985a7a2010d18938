"""Print a dry run: the jobs with their states, and the memory, disk space and setup that each model requires."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.table import Table

from hforch.auto_prompt import is_open
from hforch.models.estimate import Estimate
from hforch.report.console import console
from hforch.runs.job_header import header
from hforch.runs.planned_job import PlannedJob
from hforch.runs.resuming import previous_run
from hforch.scoring.preflight import stored_mb

WIDE = 200  # width in characters if the output is not a terminal


def show_plan(
    jobs: Sequence[PlannedJob],
    left_out: Sequence[str] = (),
    resume: bool = False,
    warnings: Sequence[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Print the jobs in the order in which they would run, and their models.

    Args:
        left_out: the labels of the jobs that a recipe excludes.
        resume: whether finished jobs are skipped.
        warnings: warnings about this machine.
        stream: the output stream; stdout if None.
    """
    stream = stream or sys.stdout
    printer = console(stream, None if stream.isatty() else WIDE)
    models = list(dict.fromkeys(one.key for one in jobs))
    table = _table("job", "settings", "samples", "model", "state")
    for one in sorted(jobs, key=lambda job: (models.index(job.key), job.number)):
        name = chr(ord("A") + models.index(one.key)) if len(models) <= 26 else str(models.index(one.key) + 1)
        table.add_row(str(one.number), one.label, str(one.samples), name, _state(one, resume))
    printer.print(table)
    loads = _table("model", "description", "load key", "setup", "weights", "KV cache", "disk")
    for number, key in enumerate(models):
        sharing = [one for one in jobs if one.key == key]
        name = chr(ord("A") + number) if len(models) <= 26 else str(number + 1)
        loads.add_row(name, " ".join(header(sharing[0].job).values()), key, *_needs([one.expected for one in sharing]))
    printer.print(loads)
    for text in dict.fromkeys(_prompt(one) for one in jobs):
        if text:
            printer.print(text)
    printer.print("Weights and KV cache are the minimum; libraries and activations need additional memory.")
    for one in jobs:
        mb = stored_mb(one.job, _inputs(one)) if one.baseline == one.number else None
        if mb is not None:
            printer.print(
                f"Job {one.number}, the baseline, stores up to {mb} MB of log-probabilities for scoring the other jobs."
            )
    for warning in warnings:
        printer.print(warning)
    if left_out:
        printer.print(f"excluded by the recipe: {len(left_out)}")
        for label in left_out:
            printer.print(f"  {label}")


def _inputs(one: PlannedJob) -> int:
    return one.samples // (one.job.runtime.repeat * one.job.runtime.rounds)


def _prompt(one: PlannedJob) -> str | None:
    """Return what prompt=auto stands for in a job; None if the job has another prompt."""
    option = one.job_context.auto_prompt
    if option is None and not is_open(one.job):
        return None
    model = header(one.job).get("model", f"backend={one.job.backend.name}")
    if option is None:
        return f"prompt=auto depends on the chat template of {model}, which is not on this machine yet."
    return f"prompt=auto is prompt={option} for {model}."


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in ("weights", "KV cache") else "left")
    return table


def _state(one: PlannedJob, resume: bool) -> str:
    if one.same_as is not None:
        return f"skipped: identical to job {one.same_as}"
    if one.is_done():
        return "done" if resume else "done; will be overwritten"
    before = previous_run(one.directory, one.job_context.skip_damaged) if resume else None
    answered = sum(len(ids) for ids in before.answered.values()) if before else 0
    return f"to run ({answered} of {one.samples} samples done)" if answered else "to run"


def _needs(expected: Sequence[Estimate]) -> tuple[str, str, str, str]:
    """Return the last four cells of a model: setup steps, size of the weights, largest KV cache, disk use."""
    first = expected[0]
    if first.weights_mb is None:
        return ", ".join(first.to_do) or "?", "?", "?", first.why or "?"
    cache = max((one.kv_mb for one in expected if one.kv_mb is not None), default=None)
    return (
        ", ".join(first.to_do) or "none",
        f"{first.weights_mb:.0f} MB",
        "?" if cache is None else f"{cache:.0f} MB",
        f"{first.disk_mb:.0f} MB" if first.disk_mb else "-",
    )
