"""How long work tells that it goes on: stages with a name, a detail and, where it is known, a total.

The models and the runner report to a Progress; the terminal, a pipe to another process, or nobody listens.
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
            name: the verb, one word.
            detail: what it works on, for people.
            total: how many units there are, bytes for a download; None when nobody knows.

        Returns:
            a context manager; inside it, call what it gives with the number of units done since the last call.
        """
        ...

    def note(self, text: str) -> None:
        """Tell the person one line worth knowing."""
        ...


class Silent:
    """A Progress that nobody listens to."""

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        yield lambda units: None

    def note(self, text: str) -> None:
        return None
