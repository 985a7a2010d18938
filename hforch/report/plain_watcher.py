"""Watchers that print plain text or JSON."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from hforch.records.record_files import read_record
from hforch.report.wording import answer_lines, failure, header_line, item_line, round_line, stage_line, summary_lines
from hforch.runs.watcher import NullWatcher
from hforch.utils.json_text import to_json
from hforch.utils.redaction import Pieces
from hforch.utils.sanitize import for_json

PERIOD_S = 10.0  # minimum time between two lines about the progress of a stage
BYTES = "download"
"""The name of the stage whose progress is measured in bytes."""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class QuietWatcher(NullWatcher):
    """A watcher that prints only errors, on stderr."""

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        if message := failure(record, directory):
            print(message, file=sys.stderr, flush=True)


class JsonWatcher(QuietWatcher):
    """A watcher that prints only the record, on stdout.

    Args:
        indent: the indentation of nested values; None prints each record as a line (JSON Lines).
    """

    def __init__(self, indent: int | None = 2) -> None:
        self._indent = indent

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        super().finished(record, directory)
        with suppress(OSError, ValueError):  # read it from disk, as the argument may lack long values
            record = read_record(Path(directory))
        ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
        print(
            for_json(to_json({**record, "directory": directory}, indent=self._indent, ascii_only=ascii_only)),
            flush=True,
        )


class PlainWatcher(QuietWatcher):
    """A watcher that prints plain lines, for pipes and logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._total = self._done = 0
        self._streaming = False
        self._pieces = Pieces()

    # ---------------------------------------------------------------- overridden for terminals
    def line(self, text: str, style: str = "", wrap: bool = False) -> None:
        print(shown(text), file=self._stream, flush=True)

    def piece(self, text: str) -> None:
        print(shown(text), end="", file=self._stream, flush=True)

    @contextmanager
    def progress(self, name: str, detail: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show that a stage is running; yield a function that adds to its completed units, and prints them at times."""
        self.line(f"{name}: {detail} ...")
        done, told = 0, time.monotonic()

        def advance(units: int) -> None:
            nonlocal done, told
            done += units
            if total and done < total and time.monotonic() - told >= PERIOD_S:
                told = time.monotonic()
                self.line(f"{name}: {amount(name, done, total)}", "dim")

        yield advance

    @contextmanager
    def bar(self, name: str, detail: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show a progress bar; this class shows none."""
        yield lambda units: None

    # ----------------------------------------------------------------
    def header(self, parts: Mapping[str, str]) -> None:
        self.line(header_line(parts), "bold")

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        started = time.perf_counter()
        try:
            with self.progress(name, detail, total) as advance:
                yield advance
        except BaseException:
            self.line(stage_line(name, detail, time.perf_counter() - started, finished=False), "yellow")
            raise
        self.line(stage_line(name, detail, time.perf_counter() - started), "dim")

    def note(self, text: str) -> None:
        self.line(text, "yellow")

    def samples(self, total: int) -> None:
        self._total = total

    def question(self, item: Any) -> None:
        self.line(f"\n> {item_line(item)}", "cyan")
        self._streaming = True

    def text(self, piece: str) -> None:
        self.piece(self._pieces.add(piece))

    def sample(self, sample: Mapping[str, Any]) -> None:
        self._done += 1
        if self._streaming:
            self.piece(f"{self._pieces.rest()}\n")
        if not sample.get("round") or sample["error"]:  # later rounds give the same answers, as a rule
            for text, style in answer_lines(sample, self._done, self._total, streamed=self._streaming):
                self.line(text, style)
        self._streaming = False

    def measured(self, round_entry: Mapping[str, Any], rounds: int | None) -> None:
        blank = "\n" if round_entry["round"] == 0 else ""
        self.line(f"{blank}{round_line(round_entry, rounds)}", "dim")

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        if self._streaming:
            self.piece(f"{self._pieces.rest()}\n")
        self.line("")
        numbers, place = summary_lines(record, directory)
        style = "bold" if record["status"] == "ok" else "red"
        self.line(numbers, style, wrap=True)
        super().finished(record, directory)  # prints the error, before the path of the results
        self.line(place, style)


def amount(name: str, done: float, total: float) -> str:
    """Return the completed amount of a stage, such as `3/8`, in MB for a download."""
    return f"{done / 1e6:.1f}/{total / 1e6:.1f} MB" if name.startswith(BYTES) else f"{done:.0f}/{total:.0f}"


def shown(text: str) -> str:
    """Return text without control characters, so that a model's output cannot move the cursor or change colors."""
    return CONTROL.sub("", text)
