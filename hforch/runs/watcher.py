"""The protocol by which a run reports its progress and results, for example to a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from hforch.records.record import Stage
from hforch.utils.progress import Advance, Progress, Silent


class Watcher(Progress, Protocol):
    """A receiver of the events of a run."""

    def header(self, parts: Mapping[str, str]) -> None:
        """Show a short description of the job: model, backend, device, precision."""
        ...

    def question(self, item: Any) -> None:
        """Show the only input, before its answer is streamed."""
        ...

    def text(self, piece: str) -> None:
        """Show the next piece of the streamed answer."""
        ...

    def samples(self, total: int) -> None:
        """Set the number of samples that will follow."""
        ...

    def sample(self, sample: Mapping[str, Any]) -> None:
        """Handle a finished sample."""
        ...

    def measured(self, round_entry: Mapping[str, Any], rounds: int | None) -> None:
        """Handle the end of a round, if there are several.

        Args:
            round_entry: its entry in the record.
            rounds: the number of rounds of the job; None if the results decide it.
        """
        ...

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        """Handle the end of the run; the record may lack its plan."""
        ...


class NullWatcher(Silent):
    """A Watcher that ignores all events."""

    def header(self, parts: Mapping[str, str]) -> None: ...

    def question(self, item: Any) -> None: ...

    def text(self, piece: str) -> None: ...

    def samples(self, total: int) -> None: ...

    def sample(self, sample: Mapping[str, Any]) -> None: ...

    def measured(self, round_entry: Mapping[str, Any], rounds: int | None) -> None: ...

    def finished(self, record: Mapping[str, Any], directory: str) -> None: ...


class StageLog:
    """A Progress that records the duration and outcome of each stage and forwards all calls to another Progress.

    Attributes:
        stages: the stages so far, including running ones.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        entry = Stage(name=name, detail=detail, seconds=None, finished=False)
        self.stages.append(entry)
        started = time.perf_counter()
        try:
            with self._progress.stage(name, detail, total) as advance:
                yield advance
            entry.finished = True
        finally:
            entry.seconds = round(time.perf_counter() - started, 3)

    def note(self, text: str) -> None:
        self._progress.note(text)
