"""A thread that runs a model, and its request queue, which is processed in order of arrival."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from hforch.errors import GenerationError

GRACE_S = 10.0
CLOSED = "the model is closed; load it again, for example with hforch.load_llm"
_closed_at_exit: weakref.WeakSet[Closable] = weakref.WeakSet()

Item = TypeVar("Item")
Work = tuple[Callable[..., Any], tuple[Any, ...], threading.Event, "Future[Any]"]


class Closable(Protocol):
    """An object with a thread to close and join."""

    def close(self) -> None: ...

    def join(self, timeout: float) -> None: ...


def closed_at_exit(one: Closable) -> None:
    """Register an object, so that it is closed and its thread is joined at exit."""
    _closed_at_exit.add(one)


class ThreadQueue(Generic[Item]):
    """The queue of a thread. It rejects items once the thread has ended, so that no caller waits forever."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._is_open = True
        self._process = os.getpid()
        self._lock = threading.RLock()  # reentrant, since garbage collection may run in this thread while it is held

    def put(self, item: Item) -> None:
        """Add an item.

        Raises:
            GenerationError: the thread has ended, or belongs to another process.
        """
        if os.getpid() != self._process:  # before the lock, which may have been held during the fork
            raise GenerationError(
                f"the model was loaded by process {self._process} and is unusable in this forked process"
                f" ({os.getpid()}); load the model after the fork, or use threads, which share it"
            )
        with self._lock:
            if not self._is_open:
                raise GenerationError(CLOSED)
            self._items.put(item)

    def take(self, block: bool = True) -> Item | None:
        """Return the next item; None at the end of the queue.

        Raises:
            queue.Empty: there is no item, and `block` is false.
        """
        return self._items.get(block)

    def end(self) -> None:
        """Let the thread end after the items that are already in the queue."""
        self._items.put(None)

    def shut(self) -> list[Item]:
        """Reject further items, and return those that the thread has not taken."""
        with self._lock:
            self._is_open = False
            left = []
            with suppress(queue.Empty):
                while True:
                    if (item := self._items.get(block=False)) is not None:
                        left.append(item)
            return left


class RequestQueue:
    """A queue of function calls and the thread that runs them in order.

    The thread is a daemon, so an unfinished stream does not prevent the program from exiting. At exit, running work is
    cancelled and awaited.
    """

    def __init__(self) -> None:
        self._waiting: ThreadQueue[Work] = ThreadQueue()
        self._cancels: weakref.WeakSet[threading.Event] = weakref.WeakSet()
        self._closing = threading.Event()
        args = (self._waiting, self._closing)
        self._thread = threading.Thread(target=_work, args=args, name="hforch-engine", daemon=True)
        self._thread.start()
        # The thread must not keep the queue alive, and it must end even if `close` is never called.
        self._end = weakref.finalize(self, self._waiting.end)
        self._end.atexit = False
        closed_at_exit(self)

    def submit(self, function: Callable[..., Any], *arguments: Any, cancelled: threading.Event) -> Future[Any]:
        """Add a function call to the queue.

        Args:
            cancelled: event that is set when the result is no longer needed.

        Returns:
            A future with the result or the exception of the function.

        Raises:
            GenerationError: the queue is closed.
        """
        future: Future[Any] = Future()
        self._cancels.add(cancelled)
        self._waiting.put((function, arguments, cancelled, future))
        return future

    def close(self) -> None:
        """Cancel running and waiting calls, which raise GenerationError, and end the thread."""
        self._closing.set()
        for cancelled in list(self._cancels):
            cancelled.set()
        self._end.detach()  # at exit, weakref's atexit handler may already have disabled it
        self._waiting.end()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set()

    def join(self, timeout: float) -> None:
        join(self._thread, timeout)


def join(thread: threading.Thread, timeout: float) -> None:
    """Wait until a thread has ended, unless it is the current one, in which garbage collection may free a model."""
    if thread is not threading.current_thread():
        thread.join(timeout)


def _work(waiting: ThreadQueue[Work], closing: threading.Event) -> None:
    while (work := waiting.take()) is not None:
        function, arguments, cancelled, future = work
        if future.set_running_or_notify_cancel():
            try:
                result = function(*arguments)
                if closing.is_set() and cancelled.is_set():  # the result may be incomplete
                    raise GenerationError(CLOSED)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            result = None
        del work, function, arguments, cancelled, future
    for _, _, _, late in waiting.shut():
        if late.set_running_or_notify_cancel():
            late.set_exception(GenerationError(CLOSED))


@atexit.register
def _close_all() -> None:
    there = list(_closed_at_exit)
    for one in there:
        one.close()
    for one in there:
        one.join(GRACE_S)
