"""A watcher for terminals, with colors and live progress bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from hforch.report.console import console
from hforch.report.plain_watcher import PlainWatcher, amount, shown


class Amount(ProgressColumn):
    """A progress column that shows the completed amount in MB or units; empty if the total is unknown."""

    def render(self, task: Task) -> Text:
        return Text(amount(task.description, task.completed, task.total) if task.total else "")


class RichWatcher(PlainWatcher):
    """A PlainWatcher with colors and progress bars."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._console = console(stream)
        self._progress: Progress | None = None
        self._open = 0
        self._answers = ExitStack()
        self._answered: Callable[[int], None] = lambda units: None

    def line(self, text: str, style: str = "", wrap: bool = False) -> None:
        # Do not wrap answers and paths, so that they can be copied.
        self._console.print(shown(text), style=style or None, soft_wrap=not wrap)

    def piece(self, text: str) -> None:
        self._console.out(shown(text), end="", highlight=False)
        self._console.file.flush()

    @contextmanager
    def progress(self, name: str, detail: str, total: int | None) -> Iterator[Callable[[int], None]]:
        live = self._live()
        task = live.add_task(f"{name}: {detail}", total=total)
        try:
            yield lambda units: live.advance(task, units)
        finally:
            live.remove_task(task)
            self._close_live()

    @contextmanager
    def bar(self, name: str, detail: str, total: int | None) -> Iterator[Callable[[int], None]]:
        with self.progress(name, detail, total) as advance:
            yield advance

    def samples(self, total: int) -> None:
        super().samples(total)
        if total > 1:
            self._answered = self._answers.enter_context(self.progress("answer", f"{total} inputs", total))
            self._answered(self._done)

    def sample(self, sample: Mapping[str, Any]) -> None:
        super().sample(sample)
        self._answered(1)

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        self._answered = lambda units: None
        self._answers.close()
        super().finished(record, directory)

    def _live(self) -> Progress:
        if self._progress is None:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), Amount(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._progress.start()
        self._open += 1
        return self._progress

    def _close_live(self) -> None:
        self._open -= 1
        if self._open == 0 and self._progress is not None:
            self._progress.stop()
            self._progress = None
