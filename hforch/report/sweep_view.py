"""Show the progress of a sweep: a line per job, failures immediately, and the remaining time."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from hforch.errors import EXIT_INTERRUPTED
from hforch.report.display import open_watcher
from hforch.report.pace import Pace
from hforch.report.plain_watcher import PlainWatcher
from hforch.report.wording import duration, summary_lines
from hforch.runs.planned_job import PlannedJob
from hforch.runs.sweep import SweepView
from hforch.runs.watcher import NullWatcher, Watcher
from hforch.utils.progress import Advance


def open_view(display: str, directory: Path, stream: TextIO | None = None) -> SweepView:
    """Return the view of a sweep for `runtime.display`; arguments as for `open_watcher`."""
    watcher = open_watcher(display, stream)
    return TextSweepView(watcher, directory) if isinstance(watcher, PlainWatcher) else SilentSweepView(watcher)


class SilentSweepView:
    """A view that passes each job to the watcher and prints nothing about the sweep as a whole."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def begin(self, jobs: Sequence[PlannedJob], left: Sequence[PlannedJob]) -> None: ...

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def job(self, planned: PlannedJob) -> Watcher:
        return self._watcher

    def ended(self, planned: PlannedJob, code: int) -> None: ...

    def failed(self, planned: PlannedJob, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    def end(self, whole: bool) -> None: ...


class SingleRunView(SilentSweepView):
    """The view of a single run, which prints notes through its watcher."""

    def note(self, text: str) -> None:
        self._watcher.note(text)


class TextSweepView:
    """A view that prints lines of text, with a progress bar on terminals."""

    def __init__(self, base: PlainWatcher, directory: Path) -> None:
        self.base, self._directory = base, directory
        self._jobs: Sequence[PlannedJob] = ()
        self._failures: list[str] = []
        self._number = 0
        self._bar = ExitStack()
        self.advance: Advance = lambda units: None

    def begin(self, jobs: Sequence[PlannedJob], left: Sequence[PlannedJob]) -> None:
        self._jobs, self._left, self.pace = jobs, len(left), Pace(left)
        loads = len({one.key for one in left})
        done = sum(one.same_as is None for one in jobs) - len(left)
        parts = [f"{len(left)} job{'s' * (len(left) != 1)} over {loads} loaded model{'s' * (loads != 1)}"]
        if done:
            parts.append(f"{done} already done")
        if equal := [one for one in jobs if one.same_as is not None]:
            parts.append(f"{len(equal)} identical to another job")
        self.base.line(" · ".join(parts), "bold")
        for one in equal:
            self.base.line(
                f"job {one.number} ({one.label}) is identical to job {one.same_as} for its backend: not run again"
            )
        samples = sum(one.samples for one in left)
        self.advance = self._bar.enter_context(self.base.bar("sweep", f"{len(left)} jobs", samples))

    def note(self, text: str) -> None:
        self.base.note(text)

    def job(self, planned: PlannedJob) -> Watcher:
        self._number += 1
        self.base.line(f"\n[{self._number}/{self._left}] {planned.label}", "bold cyan")
        return JobWatcher(self, planned)

    def ended(self, planned: PlannedJob, code: int) -> None:
        seconds = self.pace.seconds_left()
        if seconds is not None and code != EXIT_INTERRUPTED and self._number < self._left:
            self.base.line(f"about {duration(seconds)} left", "dim")

    def failed(self, planned: PlannedJob, message: str) -> None:
        self.failure(planned, message)

    def failure(self, planned: PlannedJob, message: str) -> None:
        """Print a failure, and store it for the summary at the end."""
        line = f"failed: {planned.label}: {message}"
        self._failures.append(line)
        self.base.line(f"{line}\n    log: {planned.directory}/hforch.log", "red")

    def end(self, whole: bool) -> None:
        self._bar.close()
        if self._failures:
            self.base.line(f"\n{len(self._failures)} failed:", "red")
            for line in self._failures:
                self.base.line(line, "red")
        self.base.line(f"\nrecords: {self._directory}")
        if not whole:
            self.base.line(f"to run the missing and failed jobs: hforch resume {self._directory}")


class JobWatcher(NullWatcher):
    """The watcher of one job of a sweep, which prints stages, failures and a summary line, but no answers."""

    def __init__(self, view: TextSweepView, planned: PlannedJob) -> None:
        self._view, self._planned = view, planned

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        with self._view.base.stage(name, detail, total) as advance:
            yield advance

    def note(self, text: str) -> None:
        self._view.base.note(text)

    def sample(self, sample: Mapping[str, Any]) -> None:
        self._view.advance(1)
        if sample["error"] is not None:
            error = sample["error"]
            told = error.get("traceback") or error["message"]
            self._view.failure(self._planned, f"input {sample['index'] + 1}: {told}")

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        self._view.pace.done(self._planned, record)
        if error := record.get("error"):
            self._view.failure(self._planned, error.get("traceback") or error["message"])
        numbers, _ = summary_lines(record, directory)
        self._view.base.line(numbers, "" if record["status"] == "ok" else "red")
