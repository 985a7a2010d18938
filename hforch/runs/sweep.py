"""Run the jobs of a sweep, grouped so that each model is loaded once, and write sweep.json."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from hforch.auto_prompt import settle
from hforch.errors import EXIT_INTERRUPTED, EXIT_OK, HforchError, full_errors, message_of
from hforch.records.directory_lock import is_locked
from hforch.records.record import SCHEMA_VERSION, Configuration, Status
from hforch.records.record_files import read_record
from hforch.records.record_writer import begin_interrupted, write_json, write_record
from hforch.records.sweep import NoiseOfModel, SweepRecord
from hforch.records.sweep_file import SWEEP
from hforch.runs import run
from hforch.runs.mode import MULTIRUN, RunMode
from hforch.runs.model_slot import ModelSlot
from hforch.runs.planned_job import PlannedJob
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.watcher import Watcher

OUTSIDE_A_JOB = -1  # job number in the exit codes if the sweep was interrupted outside a job
WRITING_SHARE = 20  # sweep.json is rewritten at most once per 20 times the duration of its last write


class SweepView(Protocol):
    """A receiver of the events of a sweep."""

    def begin(self, jobs: Sequence[PlannedJob], left: Sequence[PlannedJob]) -> None:
        """Handle the start of the sweep; `left` are the jobs to run, in that order."""
        ...

    def note(self, text: str) -> None:
        """Show a line of text before the sweep starts."""
        ...

    def job(self, planned: PlannedJob) -> Watcher:
        """Handle the start of a job and return its watcher."""
        ...

    def ended(self, planned: PlannedJob, code: int) -> None: ...

    def failed(self, planned: PlannedJob, message: str) -> None:
        """Report why a job could not be run."""
        ...

    def end(self, whole: bool) -> None:
        """Handle the end of the sweep; `whole` is whether all jobs have run without errors."""
        ...


@dataclass
class Sweep:
    """The jobs of a sweep, or the only job of a single run.

    Attributes:
        directory: the directory of the sweep.
        jobs: the jobs, in Hydra's order.
        about: fields of sweep.json that describe how the sweep was started.
        mode: single run or sweep; only a sweep has a sweep.json.
        noise: the time of the first batch of each model, at the beginning and at the end.
    """

    directory: Path
    jobs: Sequence[PlannedJob]
    about: Mapping[str, Any]
    mode: RunMode = MULTIRUN
    noise: list[NoiseOfModel] = field(default_factory=list)
    _next_note: float = 0.0

    def run(self, workers: WorkerPool, view: SweepView, resume: bool = False) -> dict[int, int]:
        """Run the jobs, grouped by load key.

        Returns:
            exit codes by job number; jobs that were not started because the sweep was interrupted are missing.
        """
        self._note("partial", started=self.about.get("started") or _now())
        left = self.to_run(resume)
        codes = self._codes_without(left)
        model_slot = ModelSlot()
        view.begin(self.jobs, left)
        try:
            for at, planned in enumerate(left):
                code = self._run_one(planned, workers, model_slot, view)
                codes[planned.number] = code
                if code == EXIT_INTERRUPTED or (code and planned.job.runtime.fail_fast):
                    break
                if self.mode.has_summary and (at + 1 == len(left) or left[at + 1].key != planned.key):
                    self._measure_noise(planned, left, workers, model_slot)
            else:
                codes |= self._equal_ones(codes)
        except KeyboardInterrupt:
            codes[OUTSIDE_A_JOB] = EXIT_INTERRUPTED
        view.end(self.end(codes))
        return codes

    def run_by(
        self, launch: Callable[[Sequence[PlannedJob]], Mapping[int, int]], view: SweepView, resume: bool = False
    ) -> dict[int, int]:
        """Run the jobs with `launch`, grouped by load key; return exit codes like `run`."""
        self._note("partial", started=self.about.get("started") or _now())
        left = self.to_run(resume)
        codes = self._codes_without(left)
        view.begin(self.jobs, left)
        try:
            codes |= launch(left) if left else {}
            codes |= self._equal_ones(codes)
        except KeyboardInterrupt:
            codes[OUTSIDE_A_JOB] = EXIT_INTERRUPTED
        view.end(self.end(codes))
        return codes

    def _codes_without(self, left: Sequence[PlannedJob]) -> dict[int, int]:
        """Return the exit codes of the jobs that were complete before."""
        numbers = {one.number for one in left}
        done = (one.number for one in self.jobs if one.number not in numbers and one.same_as is None)
        return dict.fromkeys(done, EXIT_OK)

    def end(self, codes: Mapping[int, int]) -> bool:
        """Record the final status; return whether all jobs succeeded."""
        interrupted = EXIT_INTERRUPTED in codes.values()
        failed = any(codes.values()) or len(codes) < len(self.jobs)
        self._note("interrupted" if interrupted else "failed" if failed else "ok", finished=_now())
        if interrupted and not self.mode.has_summary:  # a single run has no sweep.json that shows it
            for one in self.jobs:
                with suppress(OSError, HforchError):
                    begin_interrupted(one.directory, one.job_context.record(one.job))
        return not failed

    def to_run(self, resume: bool) -> list[PlannedJob]:
        """Return the jobs to run, grouped by load key, in the order of the first job of each group.

        Baselines come before the jobs that are scored against them.
        """
        own = [one for one in self.jobs if one.same_as is None]
        wanted = {one.baseline for one in own}
        first = [one for one in own if one.number in wanted]
        places = {key: at for at, key in enumerate(dict.fromkeys(one.key for one in [*first, *own]))}
        last = max((places[one.key] for one in first), default=-1)  # the model that is loaded after the last baseline

        def place(one: PlannedJob) -> tuple[bool, bool, int, int]:
            scores, at = bool(wanted - {None}) and one.number not in wanted, places[one.key]
            return scores, scores and at != last, at, one.number

        ordered = sorted(own, key=place)
        if not resume or not self.mode.has_summary:  # a resumed single run shows its results even if it is complete
            return ordered
        again = {one.number for one in ordered if not one.is_done()}
        return [one for one in ordered if one.number in again or one.baseline in again]  # its answers may change

    def _run_one(self, planned: PlannedJob, workers: WorkerPool, model_slot: ModelSlot, view: SweepView) -> int:
        watcher = view.job(planned)

        def work(logging: Mapping[str, Any] | None) -> int:
            job_context = replace(planned.job_context, logging=logging, is_locked=is_locked(planned.directory))
            return run(planned.job, planned.directory, job_context, watcher, workers, planned.key, model_slot)

        try:
            code = planned.begin(work)
        except HforchError as error:
            if full_errors():
                traceback.print_exc()
            view.failed(planned, message_of(error))
            code = error.exit_code
        view.ended(planned, code)
        return code

    def _measure_noise(
        self, planned: PlannedJob, left: Sequence[PlannedJob], workers: WorkerPool, model_slot: ModelSlot
    ) -> None:
        """Time the first batch of a model again before the model is dropped, to detect a change of machine speed."""
        seconds = model_slot.again() if planned.job.runtime.isolation == "inline" else workers.again()
        workers.free()
        if seconds is None:
            return
        first, again = seconds
        job = next(one.number for one in left if one.key == planned.key)
        drift = round(again / first - 1, 4) if first else None
        self.noise.append(
            NoiseOfModel(load_key=planned.key, job=job, first_s=round(first, 6), again_s=round(again, 6), drift=drift)
        )
        if time.monotonic() >= self._next_note:
            self._note("partial")

    def _equal_ones(self, codes: Mapping[int, int]) -> dict[int, int]:
        """Write the records of jobs that are equal to another job."""
        return {one.number: self._copy(one, codes) for one in self.jobs if one.same_as is not None}

    def _copy(self, planned: PlannedJob, codes: Mapping[int, int]) -> int:
        source = self._by_number[planned.same_as]

        def work(_: object) -> int:
            other = read_record(source.directory)
            settled = settle(planned.job, other)
            own = planned.job_context.record(settled.job)
            if settled.option is not None:
                own.auto_prompt = settled.option
            own.same_as = os.path.relpath(source.directory, planned.directory)
            stored = {name: value for name, value in other.items() if name not in Configuration.model_fields}
            write_record(planned.directory, own, stored)
            return codes.get(source.number, EXIT_OK)

        return planned.begin(work)

    def _note(self, status: Status, **more: Any) -> None:
        """Write sweep.json; it may be large, since it describes all jobs, so it is not rewritten after each model."""
        if not self.mode.has_summary:
            return
        began = time.monotonic()
        self.about = {**self.about, **more}
        sweep = SweepRecord(schema_version=SCHEMA_VERSION, status=status, **self.about, noise=self.noise)
        write_json(self.directory / SWEEP, {**sweep.dump(), "jobs": self._records})
        ended = time.monotonic()
        self._next_note = ended + WRITING_SHARE * (ended - began)

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        return [one.record(self.directory) for one in self.jobs]

    @cached_property
    def _by_number(self) -> dict[int | None, PlannedJob]:
        return {one.number: one for one in self.jobs}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
