"""Forward results to trackers while jobs run; a tracker that fails never stops a job."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hforch.config.schema import Job
from hforch.errors import EXIT_INTERRUPTED, ConfigError, full_errors, message_of
from hforch.records.record_files import read_record
from hforch.records.sweep_file import SWEEP, read_sweep
from hforch.runs.job_context import JobContext
from hforch.runs.planned_job import PlannedJob
from hforch.runs.sweep_view import SweepView
from hforch.runs.watcher import Watcher
from hforch.trackers.base import Tracker, TrackerOptions
from hforch.trackers.registry import TRACKERS
from hforch.utils.json_text import to_json
from hforch.utils.redaction import redacted_line, redacted_override

log = logging.getLogger("hforch")

QUIET = ("json", "none")
"""Values of runtime.display whose stdout must not contain notes."""


def tracked_view(view: SweepView, directory: Path, jobs: Sequence[Job]) -> SweepView:
    """Return a view of a sweep that also forwards results to the trackers of its jobs."""
    if not any(_gets_results(job.tracker) for job in jobs):
        return view
    return TrackedView(view, directory, _to_stderr if jobs[0].runtime.display in QUIET else view.note)


@contextmanager
def tracked_run(job: Job, directory: Path, job_context: JobContext, watcher: Watcher) -> Iterator[Watcher]:
    """Forward the results of a single run to its tracker while the block runs.

    Yields:
        the watcher to run the job with.
    """
    if not _gets_results(job.tracker):
        yield watcher
        return
    opened = OpenTracker(job.tracker, watcher.note if job.runtime.display not in QUIET else _to_stderr)
    plain = _plain_job(0, "", directory, job_context, job)
    opened.send(lambda tracker: tracker.begin(str(directory), [plain], job_context.resume))
    opened.send(lambda tracker: tracker.begin_job(plain))
    status, problem = "failed", None
    try:
        yield TrackedWatcher(watcher, opened, plain)
    except BaseException as error:
        status, problem = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed", message_of(error)
        raise
    finally:
        record = _record(directory, status, problem)
        opened.send(lambda tracker: tracker.end_job(plain, record))
        opened.send(lambda tracker: tracker.end(str(record["status"])))


class OpenTracker:
    """A tracker that is created on its first event and disabled when it fails.

    Args:
        options: the tracker options of its jobs.
        note: shows the warning if the tracker fails.
    """

    def __init__(self, options: TrackerOptions, note: Callable[[str], None]) -> None:
        self._options, self._note = options, note
        self._tracker: Tracker | None = None
        self._has_failed = False

    def send(self, event: Callable[[Tracker], None]) -> None:
        """Pass an event to the tracker; a failure is shown as a warning and logged."""
        if self._has_failed:
            return
        try:
            self._tracker = self._tracker or TRACKERS[self._options.kind](self._options)
            event(self._tracker)
        except (Exception, SystemExit) as error:
            self._has_failed = True
            log.info("the tracker failed", exc_info=error)
            why = redacted_line(traceback.format_exc()) if full_errors() else _first_line(error)
            self._note(f"warning: tracker={self._options.kind} failed and was disabled; records are complete. {why}")


class TrackedWatcher:
    """A watcher that also forwards samples to a tracker."""

    def __init__(self, watcher: Watcher, opened: OpenTracker, job: Mapping[str, Any]) -> None:
        self._watcher, self._opened, self._job = watcher, opened, job

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watcher, name)

    def sample(self, sample: Mapping[str, Any]) -> None:
        self._watcher.sample(sample)
        self._opened.send(lambda tracker: tracker.add_sample(self._job, json.loads(to_json(sample))))


class TrackedView:
    """A view of a sweep that also forwards results to the trackers of its jobs.

    Args:
        view: the view that shows the sweep.
        directory: the directory of the sweep.
        note: shows the warning if a tracker fails.
    """

    def __init__(self, view: SweepView, directory: Path, note: Callable[[str], None]) -> None:
        self._view, self._directory, self._note = view, directory, note
        self._opened: dict[str, OpenTracker] = {}
        self._jobs: dict[int, PlannedJob] = {}
        self._problems: dict[int, str] = {}
        self._codes: list[int] = []
        self._begun: set[int] = set()

    def begin(self, jobs: Sequence[PlannedJob], left: Sequence[PlannedJob]) -> None:
        self._view.begin(jobs, left)
        numbers = {one.number for one in left}
        own = [one for one in jobs if one.number in numbers or one.same_as in numbers]
        self._jobs = {one.number: one for one in own if _gets_results(one.job.tracker)}
        by_tracker: dict[str, list[PlannedJob]] = {}
        for one in self._jobs.values():
            by_tracker.setdefault(one.job.tracker.model_dump_json(), []).append(one)
        for key, some in by_tracker.items():
            opened = self._opened[key] = OpenTracker(some[0].job.tracker, self._note)
            values, resumed = [_plain(one) for one in some], some[0].job_context.resume
            opened.send(_beginning(str(self._directory), values, resumed))

    def note(self, text: str) -> None:
        self._view.note(text)

    def job(self, planned: PlannedJob) -> Watcher:
        watcher = self._view.job(planned)
        if planned.number not in self._jobs:
            return watcher
        opened, plain = self._tracker_of(planned), _plain(planned)
        if planned.number not in self._begun:  # otherwise, a later part of the job begins
            self._begun.add(planned.number)
            opened.send(lambda tracker: tracker.begin_job(plain))
        return TrackedWatcher(watcher, opened, plain)

    def failed(self, planned: PlannedJob, message: str) -> None:
        self._problems[planned.number] = message
        self._view.failed(planned, message)

    def ended(self, planned: PlannedJob, code: int) -> None:
        self._view.ended(planned, code)
        self._codes.append(code)
        self._end_job(planned)

    def end(self, whole: bool) -> None:
        for one in self._jobs.values():
            if one.same_as is not None:  # its record was copied, which sends no events
                self._end_job(one)
        self._view.end(whole)
        status = "interrupted" if EXIT_INTERRUPTED in self._codes else "ok" if whole else "failed"
        with suppress(ConfigError, OSError, ValueError):
            read = read_sweep if (self._directory / SWEEP).exists() else read_record
            status = str(read(self._directory)["status"])
        for opened in self._opened.values():
            opened.send(lambda tracker: tracker.end(status))

    def _end_job(self, planned: PlannedJob) -> None:
        if planned.number in self._jobs:
            record = _record(planned.directory, "failed", self._problems.get(planned.number))
            plain = _plain(planned)
            self._tracker_of(planned).send(lambda tracker: tracker.end_job(plain, record))

    def _tracker_of(self, planned: PlannedJob) -> OpenTracker:
        return self._opened[planned.job.tracker.model_dump_json()]


def _first_line(error: BaseException) -> str:
    return redacted_line(next(iter(f"{type(error).__name__}: {error}".splitlines())))


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _gets_results(options: TrackerOptions) -> bool:
    return TRACKERS[options.kind].gets_results


def _beginning(directory: str, jobs: Sequence[Mapping[str, Any]], resumed: bool) -> Callable[[Tracker], None]:
    return lambda tracker: tracker.begin(directory, jobs, resumed)


def _plain(planned: PlannedJob) -> dict[str, Any]:
    return _plain_job(planned.number, planned.label, planned.directory, planned.job_context, planned.job)


def _plain_job(number: int, label: str, directory: Path, job_context: JobContext, job: Job) -> dict[str, Any]:
    overrides = [redacted_override(one) for one in job_context.overrides]
    own = {"number": number, "label": label, "directory": str(directory), "overrides": overrides}
    found: dict[str, Any] = json.loads(to_json({**own, "job": job_context.configuration(job).dump()["job"]}))
    return found


def _record(directory: Path, status: str, problem: str | None) -> dict[str, Any]:
    """Return a job's record from disk, or `status` and `problem` if it has none."""
    with suppress(OSError, ValueError):
        return {name: value for name, value in read_record(directory).items() if name != "plan"}
    return {"status": status, "error": {"message": problem}}
