"""The right of an LLM to use a loaded model, which other LLMs may share."""

from __future__ import annotations

import weakref
from collections.abc import Callable

from hforch.errors import GenerationError
from hforch.generation.request_queue import CLOSED


class Lease:
    """The right of an LLM and its copies to use a loaded model, until it is closed or collected.

    Args:
        release: called once at the end, from any thread; it must not reference the lease. None: nothing is freed,
            because the caller owns the model.
    """

    def __init__(self, release: Callable[[], object] | None = None) -> None:
        self.is_closed = False
        self._end = weakref.finalize(self, release or (lambda: None))
        self._end.atexit = False

    def close(self) -> None:
        """End the lease; has no effect if it has ended already."""
        self.is_closed = True
        self._end()

    def check(self) -> None:
        """Raise GenerationError if the lease was closed."""
        if self.is_closed:
            raise GenerationError(CLOSED)
