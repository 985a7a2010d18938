"""The one thread that works on a model, and the line of those who wait for it: first come, first served."""

from __future__ import annotations

import atexit
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

GRACE_S = 10.0
_closed_at_exit: weakref.WeakSet[Closable] = weakref.WeakSet()

Work = tuple[Callable[..., Any], tuple[Any, ...], threading.Event, "Future[Any]"]


class Closable(Protocol):
    """What has a thread."""

    def close(self) -> None: ...

    def join(self, timeout: float) -> None: ...


def closed_at_exit(one: Closable) -> None:
    """Have it closed when the program ends, and its thread waited for."""
    _closed_at_exit.add(one)


class Line:
    """Work waits here; a thread does it in order.

    The thread is a daemon, so that a stream that nobody reads to its end keeps no program from ending; at exit, what
    is under way is cancelled and waited for.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._cancels: weakref.WeakSet[threading.Event] = weakref.WeakSet()
        self._thread = threading.Thread(target=_work, args=(self._waiting,), name="hforch-engine", daemon=True)
        self._thread.start()
        # The thread must not keep the line alive, nor the line's end depend on anyone calling close.
        self._end = weakref.finalize(self, self._waiting.put, None)
        self._end.atexit = False
        closed_at_exit(self)

    def submit(self, function: Callable[..., Any], *arguments: Any, cancelled: threading.Event) -> Future[Any]:
        """Get in line.

        Args:
            cancelled: what the work looks at to know that nobody wants it any more.

        Returns:
            what the function returns or raises.
        """
        future: Future[Any] = Future()
        self._cancels.add(cancelled)
        self._waiting.put((function, arguments, cancelled, future))
        return future

    def close(self) -> None:
        """Cancel what is under way and what waits, and let the thread end."""
        for cancelled in list(self._cancels):
            cancelled.set()
        self._end()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)


def _work(waiting: queue.SimpleQueue[Work | None]) -> None:
    while (work := waiting.get()) is not None:
        function, arguments, _, future = work
        if future.set_running_or_notify_cancel():
            try:
                result = function(*arguments)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        del work, function, arguments, future


@atexit.register
def _close_all() -> None:
    there = list(_closed_at_exit)
    for one in there:
        one.close()
    for one in there:
        one.join(GRACE_S)
