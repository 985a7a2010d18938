"""Run the jobs of a sweep in rounds: each job once per round, in alternating order."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hforch.config.durations import seconds_of
from hforch.config.schema import Measure
from hforch.errors import EXIT_INTERRUPTED, HforchError, full_errors, message_of
from hforch.records.directory_lock import is_locked
from hforch.records.record_files import read_record
from hforch.records.sweep import Measured
from hforch.runs import run
from hforch.runs.model_slot import ModelSlot
from hforch.runs.planned_job import PlannedJob
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.schedule import Part, turns
from hforch.runs.sweep_view import SweepView

FEWEST = 3
"""The number of rounds after which results are compared for the first time: fewer do not show their variance."""

Decided = Callable[[Path], str | None]
"""Returns why measuring can stop, given the directory of a sweep; None if the jobs cannot be ranked yet."""

NoteNoise = Callable[[PlannedJob, tuple[float, float]], None]
"""Records the first and the new duration of the first batch of a job's model, in seconds."""


@dataclass
class Turns:
    """The state of a sweep whose jobs take turns.

    Attributes:
        directory: the directory of the sweep.
        jobs: the jobs to run, in the order of the first round.
        workers: the processes that hold models.
        view: receives the events.
        keeps_loaded: whether models stay loaded side by side.
        note_noise: records how much the machine's speed changed while a model was loaded; None for a single run.
        decided: decides whether measuring can stop.
        codes: exit codes by job number, of the jobs that have ended.
        is_stopped: whether the sweep was stopped by Ctrl-C or by a failure.
        measured: why measuring stopped, if the results decide it.
    """

    directory: Path
    jobs: Sequence[PlannedJob]
    workers: WorkerPool
    view: SweepView
    keeps_loaded: bool = False
    note_noise: NoteNoise | None = None
    decided: Decided | None = None
    codes: dict[int, int] = field(default_factory=dict)
    is_stopped: bool = False
    measured: Measured | None = None
    _begun: set[int] = field(default_factory=set)
    _slot: ModelSlot = field(default_factory=ModelSlot)

    def __post_init__(self) -> None:
        self.workers.keeps_all = self.keeps_loaded

    @property
    def measure(self) -> Measure | None:
        """When measuring stops, if the results decide it."""
        return self.jobs[0].job.runtime.until_decided if self.jobs else None

    @property
    def in_turns(self) -> bool:
        """Whether the jobs take turns; otherwise each is run as a whole."""
        return takes_turns(self.jobs)

    def run(self) -> None:
        """Run all jobs, until Ctrl-C or a failure stops the sweep."""
        if not self.in_turns:
            self._pass([(one, None) for one in self.jobs], frees=True)
            return
        for steps in self._rounds():
            self._pass(steps, frees=not self.keeps_loaded)
            if self.is_stopped:
                return
        if self.keeps_loaded:
            for one in {one.key: one for one in self.jobs}.values():
                self._measure_noise(one)
        self._pass(self._last_parts(), frees=True, with_noise=False)
        self.workers.free()

    # ---------------------------------------------------------------- what to run
    @property
    def _unfinished(self) -> list[PlannedJob]:
        return [one for one in self.jobs if one.number not in self.codes]

    def _rounds(self) -> Iterator[list[tuple[PlannedJob, Part]]]:
        """Yield the parts of the jobs to run in each round."""
        most = max(one.job.runtime.rounds for one in self.jobs)
        number = min(measured_rounds(one.directory) for one in self.jobs)  # rounds of all jobs from before a resume
        looks = self.measure is not None
        while self._unfinished and (number < most or (looks and self._goes_on(number))):
            wanted = [one for one in self._unfinished if looks or number < one.job.runtime.rounds]
            yield [(one, self._part(one, number, looks)) for one in turns(wanted, number)]
            number += 1
        if looks and not self._unfinished and self.measured is None:
            self._stop_measuring(number, "failed", "no job was left to measure")

    def _part(self, one: PlannedJob, number: int, looks: bool) -> Part:
        scores_later = one.job.scoring.is_requested
        is_last = number + 1 == one.job.runtime.rounds and not looks and not scores_later
        is_first = one.number not in self._begun
        return Part(number + 1, is_first, is_last, interleaved=len(self.jobs) > 1, looked_early=looks)

    def _last_parts(self) -> list[tuple[PlannedJob, Part]]:
        """Return the parts that score and finish jobs; baselines come before the jobs that are scored against them."""
        looks = self.measure is not None

        def part(one: PlannedJob) -> Part:
            rounds = max(one.job.runtime.rounds, measured_rounds(one.directory))
            is_first, in_turns = one.number not in self._begun, len(self.jobs) > 1
            return Part(rounds, is_first, measures=False, interleaved=in_turns, looked_early=looks)

        return [(one, part(one)) for one in self._unfinished]

    # ---------------------------------------------------------------- when to stop
    def _goes_on(self, number: int) -> bool:
        """Return whether to measure another round after `number` rounds, at least `runtime.rounds`."""
        assert self.measure is not None
        why = self._why_decided() if number >= FEWEST else None
        if why is not None:
            self._stop_measuring(number, "decided", why)
            return False
        limit = seconds_of(self.measure.at_most)
        longest = max(map(_time_after_next, self._unfinished), default=0.0)
        if number and longest > limit:
            why = f"another round would exceed runtime.measure.at_most ({self.measure.at_most})"
            self._stop_measuring(number, "at_most", why)
            return False
        return True

    def _why_decided(self) -> str | None:
        try:
            return self.decided(self.directory) if self.decided is not None else None
        except (HforchError, OSError) as error:  # the sweep continues until at_most
            self.view.note(f"warning: cannot compare the jobs yet: {error}")
            return None

    def _stop_measuring(self, rounds: int, stopped_by: str, why: str) -> None:
        assert self.measure is not None
        self.measured = Measured(until=str(self.measure.until), rounds=rounds, stopped_by=stopped_by, why=why)
        self.view.note(f"measured {rounds} round{'s' * (rounds != 1)}: {why}")

    # ---------------------------------------------------------------- running
    def _pass(self, steps: Sequence[tuple[PlannedJob, Part | None]], frees: bool, with_noise: bool = True) -> None:
        """Run parts of jobs one after another.

        Args:
            frees: whether to free a model after the last part that uses it.
            with_noise: whether to time its first batch again before.
        """
        keys = [one.key for one, _ in steps]
        for at, (planned, part) in enumerate(steps):
            code = self._run_one(planned, part)
            if code == EXIT_INTERRUPTED or (code and planned.job.runtime.fail_fast):
                self.is_stopped = True
                return
            later = keys[at + 1 :] if self.keeps_loaded else keys[at + 1 : at + 2]
            if frees and planned.key not in later:
                if with_noise:
                    self._measure_noise(planned)
                self._free(planned)

    def _run_one(self, planned: PlannedJob, part: Part | None) -> int:
        watcher = self.view.job(planned)
        self._begun.add(planned.number)

        def work(logging: Mapping[str, Any] | None) -> int:
            job_context = replace(
                planned.job_context, logging=logging, is_locked=is_locked(planned.directory), part=part
            )
            return run(planned.job, planned.directory, job_context, watcher, self.workers, planned.key, self._slot)

        try:
            code = planned.begin(work)
        except HforchError as error:
            if full_errors():
                traceback.print_exc()
            self.view.failed(planned, message_of(error))
            code = error.exit_code
        if code or part is None or part.is_last:
            self.codes[planned.number] = code
            self.view.ended(planned, code)
        return code

    def _measure_noise(self, planned: PlannedJob) -> None:
        """Time the first batch of a model again before the model is dropped, to detect a change of machine speed."""
        if self.note_noise is None:
            return
        is_inline = planned.job.runtime.isolation == "inline"
        seconds = self._slot.again() if is_inline else self.workers.again(planned.job, planned.key)
        if seconds is not None:
            self.note_noise(planned, seconds)

    def _free(self, planned: PlannedJob) -> None:
        self.workers.free(planned.job, planned.key)
        if self.in_turns:
            self._slot.drop()


def takes_turns(jobs: Sequence[PlannedJob]) -> bool:
    """Return whether these jobs are run round by round; a single job measures its rounds one after another."""
    several = len(jobs) > 1 and any(one.job.runtime.rounds > 1 for one in jobs)
    return several or any(one.job.runtime.until_decided is not None for one in jobs)


def measured_rounds(directory: Path) -> int:
    """Return the number of rounds that a job has completed, according to its record; 0 if it has failed."""
    with suppress(OSError, ValueError):
        record = read_record(directory)
        if record.get("status") != "failed":
            rounds = record.get("rounds") or ()
            return next((at for at, one in enumerate(rounds) if one.get("seconds") is None), len(rounds))
    return 0


def _time_after_next(planned: PlannedJob) -> float:
    """Return the measured time of a job in seconds if another round takes as long as its longest one."""
    with suppress(OSError, ValueError):
        taken = [one.get("seconds") or 0.0 for one in read_record(planned.directory).get("rounds") or ()]
        return sum(taken) + max(taken, default=0.0)
    return 0.0
