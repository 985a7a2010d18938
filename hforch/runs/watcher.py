"""What a run tells while it goes: the Progress of its weights, and then its answers. A terminal or nobody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from hforch.utils.progress import Advance, Progress, Silent


class Watcher(Progress, Protocol):
    def header(self, parts: Mapping[str, str]) -> None:
        """The job in a few words: model, backend, device, precision."""
        ...

    def question(self, item: Any) -> None:
        """The one input whose answer is streamed next."""
        ...

    def text(self, piece: str) -> None:
        """A piece of the answer that is being streamed."""
        ...

    def samples(self, total: int) -> None:
        """So many samples will come."""
        ...

    def sample(self, sample: Mapping[str, Any]) -> None:
        """One sample is finished; its record."""
        ...

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        """The run is over; its record, which may lack its plan, and where it lies."""
        ...


class NullWatcher(Silent):
    """A Watcher that nobody is."""

    def header(self, parts: Mapping[str, str]) -> None: ...

    def question(self, item: Any) -> None: ...

    def text(self, piece: str) -> None: ...

    def samples(self, total: int) -> None: ...

    def sample(self, sample: Mapping[str, Any]) -> None: ...

    def finished(self, record: Mapping[str, Any], directory: str) -> None: ...


class StageLog:
    """A Progress in front of another: it remembers each stage, how long it took, and whether it came to its end.

    Attributes:
        stages: one {name, detail, seconds, finished} a stage; a stage under way has no seconds yet.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.stages: list[dict[str, Any]] = []

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        entry: dict[str, Any] = {"name": name, "detail": detail, "seconds": None, "finished": False}
        self.stages.append(entry)
        started = time.perf_counter()
        try:
            with self._progress.stage(name, detail, total) as advance:
                yield advance
            entry["finished"] = True
        finally:
            entry["seconds"] = round(time.perf_counter() - started, 3)

    def note(self, text: str) -> None:
        self._progress.note(text)
