"""The protocol by which a sweep reports its progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hforch.runs.planned_job import PlannedJob
from hforch.runs.watcher import Watcher


class SweepView(Protocol):
    """A receiver of the events of a sweep."""

    def begin(self, jobs: Sequence[PlannedJob], left: Sequence[PlannedJob]) -> None:
        """Handle the start of the sweep; `left` are the jobs to run, in that order."""
        ...

    def note(self, text: str) -> None:
        """Show a line of text."""
        ...

    def job(self, planned: PlannedJob) -> Watcher:
        """Handle the start of a job, or of a later part of it, and return its watcher."""
        ...

    def ended(self, planned: PlannedJob, code: int) -> None:
        """Handle the end of the last part of a job."""
        ...

    def failed(self, planned: PlannedJob, message: str) -> None:
        """Report why a job could not be run."""
        ...

    def end(self, whole: bool) -> None:
        """Handle the end of the sweep; `whole` is whether all jobs have run without errors."""
        ...
