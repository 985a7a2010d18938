"""The one thread that works on a model, and the queue of requests for it: first come, first served."""

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
CLOSED = "the model was closed, and answers no more"
_closed_at_exit: weakref.WeakSet[Closable] = weakref.WeakSet()

Item = TypeVar("Item")
Work = tuple[Callable[..., Any], tuple[Any, ...], threading.Event, "Future[Any]"]


class Closable(Protocol):
    """What has a thread."""

    def close(self) -> None: ...

    def join(self, timeout: float) -> None: ...


def closed_at_exit(one: Closable) -> None:
    """Have it closed when the program ends, and its thread waited for."""
    _closed_at_exit.add(one)


class ThreadQueue(Generic[Item]):
    """What a thread takes its work from. After its end nothing gets in, so nobody waits for what is never done."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._is_open = True
        self._process = os.getpid()
        self._lock = threading.RLock()  # garbage collection may come in between, in this thread

    def put(self, item: Item) -> None:
        """
        Raises:
            GenerationError: the thread has ended, or is that of another process.
        """
        if os.getpid() != self._process:  # before the lock, which a thread of theirs may have held
            raise GenerationError(
                f"the model was loaded by process {self._process}, and this one ({os.getpid()}), which was forked from"
                " it, has no thread that works on it: load the model after the fork, or use threads, which share it"
            )
        with self._lock:
            if not self._is_open:
                raise GenerationError(CLOSED)
            self._items.put(item)

    def take(self, block: bool = True) -> Item | None:
        """The next item; None at the end.

        Raises:
            queue.Empty: there is none, and `block` is false.
        """
        return self._items.get(block)

    def end(self) -> None:
        """Let the thread end when it has taken what is there."""
        self._items.put(None)

    def shut(self) -> list[Item]:
        """Let nothing in any more; what had come too late."""
        with self._lock:
            self._is_open = False
            left = []
            with suppress(queue.Empty):
                while True:
                    if (item := self._items.get(block=False)) is not None:
                        left.append(item)
            return left


class RequestQueue:
    """Work waits here; a thread does it in order.

    The thread is a daemon, so that a stream that nobody reads to its end keeps no program from ending; at exit, what
    is under way is cancelled and waited for.
    """

    def __init__(self) -> None:
        self._waiting: ThreadQueue[Work] = ThreadQueue()
        self._cancels: weakref.WeakSet[threading.Event] = weakref.WeakSet()
        self._closing = threading.Event()
        args = (self._waiting, self._closing)
        self._thread = threading.Thread(target=_work, args=args, name="hforch-engine", daemon=True)
        self._thread.start()
        # The thread must not keep the queue alive, nor the end of the queue depend on anyone calling close.
        self._end = weakref.finalize(self, self._waiting.end)
        self._end.atexit = False
        closed_at_exit(self)

    def submit(self, function: Callable[..., Any], *arguments: Any, cancelled: threading.Event) -> Future[Any]:
        """Join the queue.

        Args:
            cancelled: what the work looks at to know that nobody wants it any more.

        Returns:
            what the function returns or raises.

        Raises:
            GenerationError: the queue was closed.
        """
        future: Future[Any] = Future()
        self._cancels.add(cancelled)
        self._waiting.put((function, arguments, cancelled, future))
        return future

    def close(self) -> None:
        """Cancel what is under way and what waits, which ends with a GenerationError, and let the thread end."""
        self._closing.set()
        for cancelled in list(self._cancels):
            cancelled.set()
        self._end.detach()  # at exit it may be switched off already, by an atexit handler that runs before ours
        self._waiting.end()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)


def _work(waiting: ThreadQueue[Work], closing: threading.Event) -> None:
    while (work := waiting.take()) is not None:
        function, arguments, cancelled, future = work
        if future.set_running_or_notify_cancel():
            try:
                result = function(*arguments)
                if closing.is_set() and cancelled.is_set():  # it may be half an answer
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
