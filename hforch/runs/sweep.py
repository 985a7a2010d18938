"""Run the jobs of a sweep, grouped so that each model is loaded once, and write sweep.json."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from hforch.auto_prompt import settle
from hforch.errors import EXIT_INTERRUPTED, EXIT_OK, HforchError
from hforch.records.record import SCHEMA_VERSION, Configuration, Status
from hforch.records.record_files import read_record
from hforch.records.record_writer import begin_interrupted, stop_between_parts, write_json, write_record
from hforch.records.sweep import NoiseOfModel, SweepRecord
from hforch.records.sweep_file import SWEEP, read_sweep
from hforch.runs.mode import MULTIRUN, RunMode
from hforch.runs.planned_job import PlannedJob
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.side_by_side import KeptLoaded
from hforch.runs.sweep_view import SweepView
from hforch.runs.turns import Decided, Turns

OUTSIDE_A_JOB = -1  # job number in the exit codes if the sweep was interrupted outside a job
WRITING_SHARE = 20  # sweep.json is rewritten at most once per 20 times the duration of its last write


@dataclass
class Sweep:
    """The jobs of a sweep, or the only job of a single run.

    Attributes:
        directory: the directory of the sweep.
        jobs: the jobs, in Hydra's order.
        about: fields of sweep.json that describe how the sweep was started.
        mode: single run or sweep; only a sweep has a sweep.json.
        noise: the time of the first batch of each model, at the beginning and at the end.
        kept_loaded: whether the models of jobs that take turns stay loaded side by side; None if no jobs take turns.
        decided: decides whether measuring can stop, if the results decide it (runtime.measure).
    """

    directory: Path
    jobs: Sequence[PlannedJob]
    about: Mapping[str, Any]
    mode: RunMode = MULTIRUN
    noise: list[NoiseOfModel] = field(default_factory=list)
    kept_loaded: KeptLoaded | None = None
    decided: Decided | None = None
    _next_note: float = 0.0

    def run(self, workers: WorkerPool, view: SweepView, resume: bool = False) -> dict[int, int]:
        """Run the jobs, grouped by load key, or in turns (`turns.py`).

        Returns:
            exit codes by job number; jobs that were not started because the sweep was interrupted are missing.
        """
        self._note("partial", started=self.about.get("started") or _now())
        left = self.to_run(resume)
        codes = self._codes_without(left)
        note_noise = self._note_noise if self.mode.has_summary else None
        turns = Turns(self.directory, left, workers, view, self._keeps_loaded, note_noise, self.decided)
        view.begin(self.jobs, left)
        try:
            turns.run()
            if not turns.is_stopped:
                codes |= self._equal_ones(codes | turns.codes)
        except KeyboardInterrupt:
            codes[OUTSIDE_A_JOB] = EXIT_INTERRUPTED
        codes |= turns.codes
        for one in left:
            if one.number not in codes:
                stop_between_parts(one.directory)
        more = {} if turns.measured is None else {"measured": turns.measured}
        view.end(self.end(codes, **more))
        return codes

    def restore(self) -> None:
        """Keep what an earlier command recorded about the sweep as a whole."""
        if self.mode.has_summary:
            before = read_sweep(self.directory)
            kept = {name: before[name] for name in ("started", "measured") if before.get(name) is not None}
            self.about = {**self.about, **kept}
            self.noise += [NoiseOfModel(**one) for one in before.get("noise") or ()]

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

    def end(self, codes: Mapping[int, int], **more: Any) -> bool:
        """Record the final status, and `more` fields of sweep.json; return whether all jobs succeeded."""
        interrupted = EXIT_INTERRUPTED in codes.values()
        failed = any(codes.values()) or len(codes) < len(self.jobs)
        self._note("interrupted" if interrupted else "failed" if failed else "ok", finished=_now(), **more)
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

    def _note_noise(self, planned: PlannedJob, seconds: tuple[float, float]) -> None:
        """Record the time of the first batch of a model, after loading and before the model is dropped."""
        first, again = seconds
        job = min(one.number for one in self.jobs if one.key == planned.key)
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

    @property
    def _keeps_loaded(self) -> bool:
        return self.kept_loaded is not None and self.kept_loaded.value

    def _note(self, status: Status, **more: Any) -> None:
        """Write sweep.json; it may be large, since it describes all jobs, so it is not rewritten after each model."""
        if not self.mode.has_summary:
            return
        began = time.monotonic()
        self.about = {**self.about, **more}
        kept = self.kept_loaded
        told: dict[str, Any] = {} if kept is None else {"kept_loaded": kept.value, "kept_loaded_because": kept.because}
        sweep = SweepRecord(schema_version=SCHEMA_VERSION, status=status, **self.about, **told, noise=self.noise)
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
