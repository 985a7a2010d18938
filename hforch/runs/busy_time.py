"""Measure the time spent on batches, which may run sequentially or concurrently."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class BusyTime:
    """A meter of the time during which at least one batch is running.

    Attributes:
        seconds: seconds by repeat; an interrupted batch adds nothing.
    """

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self._active: dict[int, int] = {}
        self._since: dict[int, float] = {}  # when a batch last ended, or last started while no other was running
        self._lock = Lock()

    @contextmanager
    def of_batch(self, repeat: int) -> Iterator[None]:
        """Count the time of a batch that runs inside the block."""
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
