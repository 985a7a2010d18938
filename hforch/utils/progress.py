"""Progress reports of long operations: stages with a name, a detail and, if known, a total.

Models and the runner report to a Progress, which is the terminal, a pipe to another process, or Silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]


class Progress(Protocol):
    def stage(self, name: str, detail: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """Enter a stage such as `download`, `convert`, `export` or `load`.

        Args:
            name: a single word.
            detail: what the stage works on, for display.
            total: the number of units, bytes for a download; None if unknown.

        Returns:
            A context manager; inside it, call what it yields with the number of units done since the last call.
        """
        ...

    def note(self, text: str) -> None:
        """Show one line to the user."""
        ...


class Silent:
    """A Progress that discards all reports."""

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        yield lambda units: None

    def note(self, text: str) -> None:
        return None
