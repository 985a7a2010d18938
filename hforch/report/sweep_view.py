"""Show the progress of a sweep: a line for each job and each failure, and the remaining time."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from hforch.errors import EXIT_INTERRUPTED
from hforch.records.sample_lines import has_failed
from hforch.report.display import open_watcher
from hforch.report.pace import Pace, RoundPace
from hforch.report.plain_watcher import PlainWatcher
from hforch.report.wording import duration, round_line, summary_lines
from hforch.runs.planned_job import PlannedJob
from hforch.runs.sweep_view import SweepView
from hforch.runs.watcher import NullWatcher, Watcher
from hforch.utils.progress import Advance


def open_view(display: str, directory: Path, stream: TextIO | None = None) -> SweepView:
    """Return the view of a sweep for `runtime.display`. For the arguments, see `open_watcher`."""
    watcher = open_watcher(display, stream, in_sweep=True)
    return TextSweepView(watcher, directory) if isinstance(watcher, PlainWatcher) else SilentSweepView(watcher)


class SilentSweepView:
    """A view that passes each job to a watcher and prints only notes and errors of its own."""

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
    """A view that prints a line for each event, and a progress bar on terminals."""

    def __init__(self, base: PlainWatcher, directory: Path) -> None:
        self.base, self._directory = base, directory
        self._jobs: Sequence[PlannedJob] = ()
        self._interrupted: dict[str, None] = {}  # the labels of interrupted jobs
        self._failures: dict[tuple[str, int | None, str], list[int]] = {}  # repeats by label, input index, message
        self._watchers: dict[int, JobWatcher] = {}
        self._bar = ExitStack()
        self.advance: Advance = lambda units: None

    def begin(self, jobs: Sequence[PlannedJob], left: Sequence[PlannedJob]) -> None:
        self._jobs, self._left, self.pace = jobs, len(left), Pace(left)
        self.round_pace = RoundPace(left)
        loads = len({one.key for one in left})
        done = sum(one.same_as is None for one in jobs) - len(left)
        parts = [f"{_counted(len(left), 'job')} to run, {_counted(loads, 'model')} to load"]
        if done:
            parts.append(f"{done} already done")
        if not left:
            parts = [f"nothing to do: {'the job is' if len(jobs) == 1 else f'all {len(jobs)} jobs are'} done"]
        if equal := [one for one in jobs if one.same_as is not None]:
            parts.append(f"{len(equal)} skipped (identical to another job)")
        self.base.line(" · ".join(parts), "bold")
        for one in equal:
            self.base.line(
                f"job {one.number} ({one.label}) skipped: identical to job {one.same_as} "
                "except for settings that its backend ignores"
            )
        is_open = any(one.job.runtime.until_decided for one in left)
        samples = None if is_open else sum(one.samples for one in left)
        self.advance = self._bar.enter_context(self.base.bar("sweep", f"{len(left)} jobs", samples))

    def note(self, text: str) -> None:
        self.base.note(text)

    def job(self, planned: PlannedJob) -> Watcher:
        if planned.number in self._watchers:
            watcher = self._watchers[planned.number]
            watcher.is_named = False
            return watcher
        header = f"[{len(self._watchers) + 1}/{self._left}] {_named(planned, len(self._watchers))}"
        watcher = self._watchers[planned.number] = JobWatcher(self, planned, header)
        watcher.name()
        return watcher

    def ended(self, planned: PlannedJob, code: int) -> None:
        if code == EXIT_INTERRUPTED:
            self._interrupted[planned.label] = None
        self.round_pace.ended(planned)
        seconds = self.pace.seconds_left()
        has_rounds = self._watchers[planned.number].has_rounds
        if seconds is not None and code != EXIT_INTERRUPTED and len(self._watchers) < self._left and not has_rounds:
            self.base.line(f"about {duration(seconds)} left", "dim")

    def failed(self, planned: PlannedJob, message: str) -> None:
        self.failure(planned, message)

    def failure(self, planned: PlannedJob, message: str, index: int | None = None, repeat: int = 0) -> None:
        """Print a failure, and store it for the summary at the end.

        Args:
            index: the index of the failed input; None if the job failed.
            repeat: the index of the failed repeat.
        """
        self._failures.setdefault((planned.label, index, message), []).append(repeat)
        line = _failure_line(planned.label, index, message)
        self.base.line(f"{line}\n    log: {planned.directory}/hforch.log", "red")

    def end(self, whole: bool) -> None:
        self._bar.close()
        if self._failures:
            samples = sum(len(repeats) for (_, index, _), repeats in self._failures.items() if index is not None)
            jobs = sum(index is None for _, index, _ in self._failures)
            counts = [_counted(number, noun) for number, noun in ((samples, "sample"), (jobs, "job")) if number]
            self.base.line(f"\n{' and '.join(counts)} failed:", "red")
            for (label, index, message), repeats in self._failures.items():
                self.base.line(_failure_line(label, index, message, repeats), "red")
        for label in self._interrupted:
            self.base.line(f"interrupted: {label}", "yellow")
        self.base.line(f"\nresults: {self._directory}")
        if not whole:
            self.base.line(f"to run the missing and failed jobs: hforch resume {self._directory}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _failure_line(label: str, index: int | None, message: str, repeats: Sequence[int] = ()) -> str:
    """Return the line for a failure, such as `failed: seed=1: input 1 (repeats 1, 3): out of memory`."""
    which = f" (repeats {', '.join(str(one + 1) for one in repeats)})" if len(repeats) > 1 else ""
    return f"failed: {label}: {'' if index is None else f'input {index + 1}{which}: '}{message}"


class JobWatcher(NullWatcher):
    """A watcher for one job of a sweep, which prints stages, failures and a summary line, but no answers.

    Attributes:
        is_named: whether the job's label was printed since its current part began.
        has_rounds: whether a round of several was measured.
    """

    def __init__(self, view: TextSweepView, planned: PlannedJob, header: str) -> None:
        self._view, self._planned, self._header = view, planned, header
        self.is_named = self.has_rounds = False

    def name(self) -> None:
        """Print the job's label before the first line of a part."""
        if not self.is_named:
            self._view.base.line(f"\n{self._header}", "bold cyan")
            self.is_named = True

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        self.name()
        with self._view.base.stage(name, detail, total) as advance:
            yield advance

    def note(self, text: str) -> None:
        self.name()
        self._view.base.note(text)

    def sample(self, sample: Mapping[str, Any]) -> None:
        self._view.advance(1)
        if has_failed(sample):
            error = sample["error"]
            told = error.get("traceback") or error["message"]
            self._view.failure(self._planned, told, sample["index"], sample["repeat"])

    def measured(self, round_entry: Mapping[str, Any], rounds: int | None) -> None:
        line = round_line(round_entry, rounds)
        self._view.round_pace.measured(self._planned)
        seconds = self._view.round_pace.seconds_left() if rounds is not None else None
        left = f" · about {duration(seconds)} left" if seconds else ""
        self._view.base.line(f"{line}{left}" if self.is_named else f"{self._header} · {line}{left}")
        self.is_named = self.has_rounds = True

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        self.name()
        self._view.pace.done(self._planned, record)
        if (error := record.get("error")) and record["status"] != "interrupted":
            self._view.failure(self._planned, error.get("traceback") or error["message"])
        numbers, _ = summary_lines(record, directory)
        self._view.base.line(numbers, "" if record["status"] == "ok" else "red")


def _named(planned: PlannedJob, place: int) -> str:
    """Return the label of a job, with its number if it is not its place in the sweep."""
    return planned.label if planned.number == place else f"job {planned.number}: {planned.label}"
