"""How long batches were being answered, whether one after the other or several at the same time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class BusyTime:
    """Seconds in which at least one batch was being answered.

    Attributes:
        seconds: by repeat; a batch that was interrupted adds none.
    """

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self._active: dict[int, int] = {}
        self._since: dict[int, float] = {}  # the last time at which a batch ended, or began while there was no other
        self._lock = Lock()

    @contextmanager
    def of_batch(self, repeat: int) -> Iterator[None]:
        """Count the time of a batch, which is answered inside the context."""
        with self._lock:
            if not self._active.get(repeat):
                self._since[repeat] = time.perf_counter()
            self._active[repeat] = self._active.get(repeat, 0) + 1
        is_whole = False
        try:
            yield
            is_whole = True
        finally:
            with self._lock:
                self._active[repeat] -= 1
                if is_whole:
                    now = time.perf_counter()
                    self.seconds[repeat] = self.seconds.get(repeat, 0.0) + now - self._since[repeat]
                    self._since[repeat] = now
