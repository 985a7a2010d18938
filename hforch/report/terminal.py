"""The watchers that people see: rich on a terminal, plain lines elsewhere, the record alone for programs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hforch.report.wording import answer_head, failure, header_line, item_line, stage_line, summary_lines
from hforch.runs.records import to_json
from hforch.runs.watch import Nobody, Watcher

if TYPE_CHECKING:
    from rich.progress import Progress

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
WORTH_A_LINE_S = 0.5


def open_watcher(display: str) -> Watcher:
    """The watcher that `runtime.display` names; `auto` is rich on a terminal and plain elsewhere."""
    if display == "auto":
        display = "rich" if sys.stdout.isatty() else "plain"
    return {"rich": Rich, "plain": Plain, "json": Json, "none": Quiet}[display]()


class Quiet(Nobody):
    """Says nothing but why a run failed, on stderr."""

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        if message := failure(record, directory):
            print(message, file=sys.stderr, flush=True)


class Json(Quiet):
    """The record alone on stdout."""

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        super().finished(record, directory)
        print(to_json({**record, "directory": directory}, indent=2), flush=True)


class Plain(Quiet):
    """Lines without colour or motion, the same on every terminal and in every log."""

    def __init__(self) -> None:
        self._total = self._done = 0
        self._streaming = False

    def line(self, text: str, style: str = "") -> None:
        print(shown(text), flush=True)

    def piece(self, text: str) -> None:
        print(shown(text), end="", flush=True)

    def header(self, parts: Mapping[str, str]) -> None:
        self.line(header_line(parts), "bold")

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        started = time.perf_counter()
        self.line(f"{name}: {detail} ...")
        yield lambda units: None
        self.stage_over(name, detail, time.perf_counter() - started)

    def stage_over(self, name: str, detail: str, seconds: float) -> None:
        self.line(stage_line(name, detail, seconds))

    def note(self, text: str) -> None:
        self.line(text, "yellow")

    def samples(self, total: int) -> None:
        self._total = total

    def question(self, item: Any) -> None:
        self.line(f"\n> {item_line(item)}", "cyan")
        self._streaming = True

    def text(self, piece: str) -> None:
        self.piece(piece)

    def sample(self, sample: Mapping[str, Any]) -> None:
        self._done += 1
        if self._streaming:
            self.piece("\n")
        if sample["error"] is not None:
            self.line(f"failed: input {sample['index'] + 1}: {sample['error']['message']}", "red")
        elif not self._streaming:
            self.line(answer_head(sample, self._done, self._total), "cyan")
            self.line(sample["text"])
        self._streaming = False

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        if self._streaming:
            self.piece("\n")
        self.line("")
        for line in summary_lines(record, directory):
            self.line(line, "bold" if record["status"] == "ok" else "red")
        super().finished(record, directory)


class Rich(Plain):
    """A terminal: colours, and live progress that leaves one line behind."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self._console = Console(highlight=False, markup=False, emoji=False)
        self._progress: Progress | None = None
        self._open = 0

    def line(self, text: str, style: str = "") -> None:
        self._console.print(shown(text), style=style or None, soft_wrap=True)

    def piece(self, text: str) -> None:
        self._console.out(shown(text), end="", highlight=False)
        self._console.file.flush()

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        started = time.perf_counter()
        progress = self._live()
        task = progress.add_task(f"{name}: {detail}", total=total)
        try:
            yield lambda units: progress.advance(task, units)
        finally:
            progress.remove_task(task)
            self._close_live()
        seconds = time.perf_counter() - started
        if seconds >= WORTH_A_LINE_S:
            self.stage_over(name, detail, seconds)

    def stage_over(self, name: str, detail: str, seconds: float) -> None:
        self.line(stage_line(name, detail, seconds), "dim")

    def samples(self, total: int) -> None:
        super().samples(total)
        if total > 1:
            self._answers = self.stage("answer", f"{total} inputs", total)
            self._advance = self._answers.__enter__()

    def sample(self, sample: Mapping[str, Any]) -> None:
        super().sample(sample)
        if self._total > 1 and hasattr(self, "_advance"):
            self._advance(1)
            if self._done == self._total:
                self._end_answers()

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        self._end_answers()
        super().finished(record, directory)

    def _end_answers(self) -> None:
        if hasattr(self, "_answers"):
            self._answers.__exit__(None, None, None)
            del self._answers, self._advance

    def _live(self) -> Progress:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        if self._progress is None:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._progress.start()
        self._open += 1
        return self._progress

    def _close_live(self) -> None:
        self._open -= 1
        if self._open == 0 and self._progress is not None:
            self._progress.stop()
            self._progress = None


def shown(text: str) -> str:
    """Text as a terminal may have it: a model's output must not move the cursor or change colours."""
    return CONTROL.sub("", text)
