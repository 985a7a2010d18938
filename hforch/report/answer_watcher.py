"""A watcher for a single question: the answer goes to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hforch.report.plain_watcher import shown
from hforch.report.wording import ENDS
from hforch.runs.watcher import NullWatcher, Watcher
from hforch.utils.progress import Advance
from hforch.utils.redaction import Pieces


class AnswerWatcher(NullWatcher):
    """A watcher that prints only the answer on stdout, in pieces on a terminal.

    Attributes:
        answered: the sample of the question; None until there is one.
        error: the error that ended the run or failed the sample, if any.
        record: the record at the end of the run; empty until then.
    """

    def __init__(self, progress: Watcher, silent: bool = False) -> None:
        """Initialize it.

        Args:
            progress: receives the stages and notes; it should write to stderr.
            silent: whether to print no answer.
        """
        self._progress = progress
        self._silent = silent
        self._streams = sys.stdout.isatty() and not silent
        self._pieces = Pieces()
        self._begun = False
        self.answered: Mapping[str, Any] | None = None
        self.error: Mapping[str, Any] | None = None
        self.record: Mapping[str, Any] = {}

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        with self._progress.stage(name, detail, total) as advance:
            yield advance

    def note(self, text: str) -> None:
        self._progress.note(text)

    def header(self, parts: Mapping[str, str]) -> None:
        self._progress.header(parts)

    def text(self, piece: str) -> None:
        if self._streams:
            self._print(self._pieces.add(piece))

    def sample(self, sample: Mapping[str, Any]) -> None:
        self.answered, self.error = sample, sample["error"]
        if self._streams:
            self._print(f"{self._pieces.rest()}\n")
        elif not self._silent and self.error is None:
            self._print(f"{sample['text'].rstrip()}\n")
        if self.error is not None:
            self._tell(self.error)
            return
        for check in sample.get("checks") or ():
            if not check["passed"]:
                self._progress.note(f"check failed: {check['name']}: {check['why']}")
        if not sample["text"].strip():
            ended = ENDS.get(sample["finish_reason"], sample["finish_reason"])
            self._progress.note(f"the answer is empty: it {ended}")
        elif sample["finish_reason"] == "length":
            self._progress.note("the answer is truncated: it reached max_new_tokens; set generation.max_new_tokens=N")

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        self.record = record
        if error := record.get("error"):
            self.error = error
            self._tell(error)

    def _print(self, text: str) -> None:
        """Print a piece of the answer, without whitespace at its start."""
        piece = shown(text if self._begun else text.lstrip(" \n"))
        self._begun = self._begun or bool(piece)
        print(piece, end="", flush=True)

    def _tell(self, error: Mapping[str, Any]) -> None:
        print(error.get("traceback") or error["message"], file=sys.stderr, flush=True)
