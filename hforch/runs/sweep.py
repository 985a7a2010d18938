"""The jobs of a sweep, run so that each model is loaded once, and what is known of them as a whole: sweep.json."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Protocol

from hforch.config.schema import Job
from hforch.errors import EXIT_INTERRUPTED, EXIT_OK, ConfigError, HforchError, Mistake, message_of
from hforch.models.estimate import Estimate
from hforch.records.record_files import RECORD, SCHEMA_VERSION, known_record, read_record, read_versioned, write_whole
from hforch.records.sample_lines import Samples
from hforch.runs import run
from hforch.runs.identity import run_of
from hforch.runs.job_context import JobContext
from hforch.runs.model_slot import ModelSlot
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.watcher import Watcher
from hforch.scoring.preflight import is_scored
from hforch.utils.redaction import redacted, redacted_override

SWEEP = "sweep.json"
WRITING_SHARE = 20  # so many times as long as writing sweep.json took are jobs run before it is written again
LONGEST_NAME = 255  # bytes of the name of a file
JOB = {"number": int, "directory": str, "label": str, "load_key": str, "job_id": str, "overrides": list, "job": dict}


RunJob = Callable[[Mapping[str, Any] | None], int]
"""What a job does, given its logging for `logging.config.dictConfig`; returns its exit code."""


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep, before it is run.

    Attributes:
        number: Hydra's.
        directory: where its record goes.
        key: its load key.
        id: its job id.
        label: the overrides in which it differs from the other jobs.
        samples: how many it will have.
        expected: what it will take, as far as that can be told without its weights.
        same_as: the number of an earlier job with the same outputs, which is run in its stead.
        baseline: the number of the job whose answers it scores, its own if it is one; None if nothing is scored.
        begin: does work as this job: with its directory made, and its environment set; hands it the job's logging.
    """

    number: int
    directory: Path
    job: Job
    job_context: JobContext
    key: str
    id: str
    label: str
    samples: int
    expected: Estimate
    same_as: int | None
    baseline: int | None
    begin: Callable[[RunJob], int]

    def record(self) -> dict[str, Any]:
        """What sweep.json says of it."""
        names = ("number", "label", "samples", "same_as", "baseline")
        own = {name: getattr(self, name) for name in names}
        keys = {"load_key": self.key, "job_id": self.id}
        overrides = [redacted_override(one) for one in self.job_context.overrides]
        return own | keys | {"label": redacted(self.label), "overrides": overrides, **self.job_context.job(self.job)}

    def is_done(self) -> bool:
        """Whether its record is there, and lacks nothing; nor do its scores, nor the distributions that others need."""
        with suppress(OSError, ValueError, HforchError):
            record = known_record(self.directory)
            if record.get("status") == "ok" and record.get("job_id") == self.id:
                told = (record.get("totals") or {}).get("samples")
                scored = is_scored(record, self.job, self.directory, self.job_context.baseline)
                samples = Samples(self.directory, record)
                return scored and told == sum(1 for _ in samples) and not (samples.left_out or samples.is_torn)
        return False


class SweepView(Protocol):
    """Whom a sweep tells what happens."""

    def begin(self, jobs: Sequence[PlannedJob], left: Sequence[PlannedJob]) -> None:
        """The sweep begins; `left` are the jobs that have to be run, in that order."""
        ...

    def note(self, text: str) -> None:
        """Something worth telling before it begins."""
        ...

    def job(self, planned: PlannedJob) -> Watcher:
        """A job begins; who watches it."""
        ...

    def ended(self, planned: PlannedJob, code: int) -> None: ...

    def failed(self, planned: PlannedJob, message: str) -> None:
        """A job could not be run, and has told nobody why."""
        ...

    def end(self, whole: bool) -> None:
        """It is over; `whole`: nothing has failed, and nothing is missing."""
        ...


@dataclass
class Sweep:
    """Jobs that are run together.

    Attributes:
        jobs: in Hydra's order.
        about: what sweep.json says besides: how it was asked for.
        noise: how long the first batch of each model took, at first and at last.
    """

    directory: Path
    jobs: Sequence[PlannedJob]
    about: Mapping[str, Any]
    noise: list[dict[str, Any]] = field(default_factory=list)
    _next_note: float = 0.0

    def run(self, workers: WorkerPool, view: SweepView, resume: bool = False) -> dict[int, int]:
        """Run them, grouped by load key.

        Returns:
            exit codes by job number; a job that was not begun, because the sweep was interrupted, has none.
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
                if at + 1 == len(left) or left[at + 1].key != planned.key:
                    self._measure_noise(planned, left, workers, model_slot)
            else:
                codes |= self._equal_ones(codes)
        except KeyboardInterrupt:
            codes[-1] = EXIT_INTERRUPTED
        view.end(self.end(codes))
        return codes

    def run_by(
        self, launch: Callable[[Sequence[PlannedJob]], Mapping[int, int]], view: SweepView, resume: bool = False
    ) -> dict[int, int]:
        """Let somebody else run the jobs, handed over in the order in which they share models; returns as `run`."""
        self._note("partial", started=self.about.get("started") or _now())
        left = self.to_run(resume)
        codes = self._codes_without(left)
        view.begin(self.jobs, left)
        try:
            codes |= launch(left) if left else {}
            codes |= self._equal_ones(codes)
        except KeyboardInterrupt:
            codes[-1] = EXIT_INTERRUPTED
        view.end(self.end(codes))
        return codes

    def _codes_without(self, left: Sequence[PlannedJob]) -> dict[int, int]:
        """Those of the jobs that were done before."""
        numbers = {one.number for one in left}
        done = (one.number for one in self.jobs if one.number not in numbers and one.same_as is None)
        return dict.fromkeys(done, EXIT_OK)

    def end(self, codes: Mapping[int, int]) -> bool:
        """Write down how it ended; whether all went well."""
        interrupted = EXIT_INTERRUPTED in codes.values()
        failed = any(codes.values()) or len(codes) < len(self.jobs)
        self._note("interrupted" if interrupted else "failed" if failed else "ok", finished=_now())
        return not failed

    def to_run(self, resume: bool) -> list[PlannedJob]:
        """The jobs that have to be run, those of one model after each other, in the order of the first of them.

        Jobs whose answers are scored come before those that score them.
        """
        own = [one for one in self.jobs if one.same_as is None]
        wanted = {one.baseline for one in own}
        first = [one for one in own if one.number in wanted]
        places = {key: at for at, key in enumerate(dict.fromkeys(one.key for one in [*first, *own]))}
        last = max((places[one.key] for one in first), default=-1)  # loaded when those that score begin

        def place(one: PlannedJob) -> tuple[bool, bool, int, int]:
            scores, at = bool(wanted - {None}) and one.number not in wanted, places[one.key]
            return scores, scores and at != last, at, one.number

        ordered = sorted(own, key=place)
        if not resume:
            return ordered
        again = {one.number for one in ordered if not one.is_done()}
        return [one for one in ordered if one.number in again or one.baseline in again]  # whose answers may be others

    def _run_one(self, planned: PlannedJob, workers: WorkerPool, model_slot: ModelSlot, view: SweepView) -> int:
        watcher = view.job(planned)

        def work(logging: Mapping[str, Any] | None) -> int:
            job_context = replace(planned.job_context, logging=logging)
            return run(planned.job, planned.directory, job_context, watcher, workers, planned.key, model_slot)

        try:
            code = planned.begin(work)
        except HforchError as error:
            view.failed(planned, message_of(error))
            code = error.exit_code
        view.ended(planned, code)
        return code

    def _measure_noise(
        self, planned: PlannedJob, left: Sequence[PlannedJob], workers: WorkerPool, model_slot: ModelSlot
    ) -> None:
        """Before a model is dropped, see whether the machine still answers as fast as when it was loaded."""
        seconds = model_slot.again() if planned.job.runtime.isolation == "inline" else workers.again()
        workers.free()
        if seconds is None:
            return
        first, again = seconds
        job = next(one.number for one in left if one.key == planned.key)
        drift = round(again / first - 1, 4) if first else None
        known = {"load_key": planned.key, "job": job, "first_s": round(first, 6), "again_s": round(again, 6)}
        self.noise.append(known | {"drift": drift})
        if time.monotonic() >= self._next_note:
            self._note("partial")

    def _equal_ones(self, codes: Mapping[int, int]) -> dict[int, int]:
        """Give the jobs that others stand for their records."""
        return {one.number: self._copy(one, codes) for one in self.jobs if one.same_as is not None}

    def _copy(self, planned: PlannedJob, codes: Mapping[int, int]) -> int:
        source = self._by_number[planned.same_as]

        def work(_: object) -> int:
            own = {**planned.job_context.job(planned.job), **planned.job_context.invocation()}
            same = {"same_as": os.path.relpath(source.directory, planned.directory)}
            other = read_record(source.directory)
            kept = {name: value for name, value in other.items() if name not in ("from_env", "redacted")}
            write_whole(planned.directory / RECORD, kept | own | same)
            return codes.get(source.number, EXIT_OK)

        return planned.begin(work)

    def _note(self, status: str, **more: Any) -> None:
        """Write sweep.json. Of many models, not after each: it says all that is planned, so it may be large."""
        began = time.monotonic()
        self.about = {**self.about, **more}
        told = {"schema_version": SCHEMA_VERSION, "status": status, **self.about}
        whole = told | {"jobs": self._records, "noise": self.noise}
        write_whole(self.directory / SWEEP, whole)
        ended = time.monotonic()
        self._next_note = ended + WRITING_SHARE * (ended - began)

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        return [{**one.record(), "directory": str(one.directory.relative_to(self.directory))} for one in self.jobs]

    @cached_property
    def _by_number(self) -> dict[int | None, PlannedJob]:
        return {one.number: one for one in self.jobs}


def read_sweep(directory: Path) -> dict[str, Any]:
    """The sweep.json of a sweep's directory.

    Raises:
        ConfigError: there is none that can be read, or it lacks what a comparison or a resume has to know.
    """
    path = directory / SWEEP
    found = read_versioned(path, {"asked": dict, "jobs": list})
    if not _is_asked(found["asked"], found.get("cwd")) or not all(map(_is_job, found["jobs"])):
        hint = "it is written whole, so something else has changed it"
        raise ConfigError([Mistake("", f"{path} does not say which jobs it has, and how it was asked for", None, hint)])
    return found


def _is_asked(asked: Mapping[str, Any], cwd: Any) -> bool:
    texts = [cwd, *(asked.get(name) for name in ("recipe", "config_dir", "config_name"))]
    overrides = asked.get("overrides")
    texts += overrides if isinstance(overrides, list) else [0]
    return all(one is None or isinstance(one, str) for one in texts)


def _is_job(told: Any) -> bool:
    """Whether something is a job as `PlannedJob.record` has it, in a directory within that of the sweep."""
    if not isinstance(told, dict) or not all(isinstance(told.get(name), kind) for name, kind in JOB.items()):
        return False
    directory = PurePath(told["directory"])
    inside = not directory.is_absolute() and ".." not in directory.parts and directory.parts
    short = all(len(os.fsencode(part)) <= LONGEST_NAME for part in directory.parts)
    groups = all(isinstance(part, dict | None) for part in told["job"].values())
    return bool(inside) and short and "\0" not in told["directory"] and groups and _are_texts(told["overrides"])


def _are_texts(some: Any) -> bool:
    return all(isinstance(one, str) for one in some)


def equal_ones(jobs: Sequence[PlannedJob]) -> Iterator[PlannedJob]:
    """The jobs, each that would only repeat an earlier one marked as such.

    Jobs are equal when all that decides outputs and measurements is: what a backend ignores, such as ov_config on
    pytorch, makes no difference.
    """
    seen: dict[tuple[str, str], int] = {}
    for one in jobs:
        earlier = seen.setdefault(run_of(one.job, one.id), one.number)
        yield one if earlier == one.number else replace(one, same_as=earlier)


def labels(overrides: Sequence[Sequence[str]]) -> list[str]:
    """For each job the overrides that not all jobs have."""
    common = set(overrides[0]).intersection(*map(set, overrides)) if overrides else set()
    return [" ".join(one for one in own if one not in common) for own in overrides]


class Pace:
    """How long a sweep will still take, from what it took so far."""

    def __init__(self, left: Sequence[PlannedJob]) -> None:
        self._left = {one.number: one for one in left}
        self._seconds: dict[str, float] = {}
        self._samples: dict[str, int] = {}
        self._loads: list[float] = []
        self._since = time.monotonic()

    def done(self, planned: PlannedJob, record: Mapping[str, Any]) -> None:
        """A job has ended."""
        timings = record.get("timings") or {}
        loading = 0.0 if record.get("shared_load") else sum(timings.values()) - timings.get("warmup_s", 0.0)
        took, self._since = time.monotonic() - self._since, time.monotonic()
        if not record.get("shared_load"):
            self._loads.append(loading)
        self._seconds[planned.key] = self._seconds.get(planned.key, 0.0) + max(took - loading, 0.0)
        self._samples[planned.key] = self._samples.get(planned.key, 0) + planned.samples
        self._left.pop(planned.number, None)

    def seconds_left(self) -> float | None:
        """None as long as nothing is known."""
        if not self._samples:
            return None
        overall = sum(self._seconds.values()) / sum(self._samples.values())
        rates = {key: self._seconds[key] / self._samples[key] for key in self._samples}
        answering = sum(one.samples * rates.get(one.key, overall) for one in self._left.values())
        loads = len({one.key for one in self._left.values()} - set(self._samples))
        return answering + loads * (sum(self._loads) / len(self._loads) if self._loads else 0.0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
