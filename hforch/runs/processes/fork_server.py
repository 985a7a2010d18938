"""The processes that hold models, as their parent sees them: fork servers, and the workers that those start.

A fork server is a fork of a parent that has loaded no library; it imports those of one backend and nothing more, so
each of its own forks, the workers, has them at once. Where importing them has initialized an accelerator, which forks
could not use, a worker for one is a new Python instead (`spawn.py`). A worker holds one model and runs the jobs that
share it. So a run's memory is its own and really freed, a native crash cannot take the parent down, and whatever
libraries print goes to the job's log. `messages.py` has what they tell each other; `fork_server_process.py` and
`worker_process.py` are the other sides, and `worker_pool.py` has the processes of one command.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from hforch.errors import HforchError
from hforch.runs.processes.crash import WorkerDied
from hforch.runs.processes.fork_server_process import run_fork_server
from hforch.runs.processes.message_handler import MessageHandler
from hforch.runs.processes.messages import (
    ListInitialized,
    Outcome,
    Ready,
    ReapWorker,
    Refused,
    RunJob,
    ServerRequest,
    Started,
    StartWorker,
    WorkerEnd,
    WorkerRequest,
    receive,
    send,
)
from hforch.utils.log_tail import tail

if TYPE_CHECKING:
    from hforch.runs.watcher import Watcher


ENDING_S = 1.0  # that a process may take to end whose pipe is closed

_ours: WeakSet[Connection] = WeakSet()  # the parent's ends of all pipes, which no child may keep open


class ForkServer:
    """A process that has the libraries of a backend imported, and starts workers.

    Attributes:
        backend: the name of the backend.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._environment = dict(os.environ)
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        _ours.add(self._pipe)
        self._early_log = os.memfd_create("hforch-log")  # what its libraries print
        arguments = (theirs, list(_ours), backend, os.getpid(), self._early_log)
        # A daemon in multiprocessing's sense: a parent that ends without closing it, as launchers' do, ends it too.
        self._process = context.Process(target=run_fork_server, args=arguments, name=f"hforch-{backend}", daemon=True)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # The child starts with Ctrl-C blocked: until a worker has a record to finish, the parent answers for all.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        except BaseException:
            os.close(self._early_log)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()

    def suits(self, backend: str) -> bool:
        """Whether it has what a job needs that runs now: the libraries, and the environment they read."""
        return self.backend == backend and self._environment == dict(os.environ) and self._process.is_alive()

    def start_worker(self, uses_accelerator: bool) -> Worker:
        """Start a worker.

        Args:
            uses_accelerator: whether it shall run jobs that may use one.

        Raises:
            WorkerDied: the fork server has ended.
        """
        ours, theirs = multiprocessing.get_context("fork").Pipe()
        _ours.add(ours)
        try:
            send(self._pipe, StartWorker(uses_accelerator))
            send_handle(self._pipe, theirs.fileno(), self._process.pid)
        except ConnectionError:
            ours.close()
            raise self.death() from None
        finally:
            theirs.close()
        return Worker(self, ours)

    def initialized(self) -> list[str] | None:
        """The accelerators that importing the libraries has initialized; waits for that. None if it has ended."""
        found: list[str] | None = self._ask(ListInitialized())
        return found

    def reap(self, pid: int) -> WorkerDied:
        """How a worker of its own ended; waits for the end."""
        end: WorkerEnd | None = self._ask(ReapWorker(pid))
        if end is None:
            return WorkerDied(None, parent=self.death())
        return WorkerDied(end.code, end.last_output)

    def death(self) -> WorkerDied:
        """How it ended itself."""
        self._process.join(ENDING_S)
        last_output = b""
        with suppress(OSError):  # it was discarded
            last_output = tail(self._early_log)
        return WorkerDied(
            self._process.exitcode, last_output, f"the process that imports the libraries of {self.backend}"
        )

    def discard(self) -> None:
        """End it, and its workers with it."""
        self._process.kill()
        self._process.join()
        self._pipe.close()
        if self._early_log >= 0:
            os.close(self._early_log)
            self._early_log = -1

    def _ask(self, request: ServerRequest) -> Any:
        with suppress(EOFError, OSError):
            send(self._pipe, request)
            return receive(self._pipe)
        return None


class Worker:
    """A process that runs jobs, one at a time.

    Attributes:
        pid: its process id, once it has told it.
        interrupted: whether Ctrl-C was passed on to it.
    """

    def __init__(self, fork_server: ForkServer, pipe: Connection) -> None:
        self._fork_server, self._pipe = fork_server, pipe
        self.pid: int | None = None
        self.interrupted = self._has_run = False

    def ask(self, request: WorkerRequest, watcher: Watcher | None = None) -> Any:
        """Let it do something, show what it tells meanwhile, and return the outcome.

        One Ctrl-C is passed on, and a worker with a job finishes its record; a second one kills it.

        Raises:
            WorkerDied: without an outcome.
            HforchError: it could not be started.
            KeyboardInterrupt: it was killed by Ctrl-C.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        handler = MessageHandler(watcher, importing=self.pid is None)
        interrupts = 0
        try:
            with suppress(OSError):
                send(self._pipe, request)
            while True:
                try:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                    handler.wait(self._pipe)
                    event = receive(self._pipe)
                    match event:
                        case Started() | Ready():
                            first, self.pid = self.pid is None, event.pid
                            if first and interrupts:
                                self._signal(signal.SIGINT)
                            if isinstance(event, Ready):
                                handler.imported()
                        case Outcome():
                            self._has_run = self._has_run or isinstance(request, RunJob)
                            return event.value
                        case Refused():
                            raise HforchError(event.reason)
                        case _:
                            handler.handle(event)
                except KeyboardInterrupt:
                    interrupts, self.interrupted = interrupts + 1, True
                    self._signal(signal.SIGINT if interrupts == 1 and isinstance(request, RunJob) else signal.SIGKILL)
                except (EOFError, ConnectionResetError):
                    break
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            handler.close()
        death = self._end()
        if interrupts:
            raise KeyboardInterrupt
        raise death

    def close(self) -> None:
        """Hang up, and wait until its memory is free again."""
        self._pipe.close()
        if self.pid is not None:
            self._fork_server.reap(self.pid)

    def _end(self) -> WorkerDied:
        self._pipe.close()
        death = self._fork_server.death() if self.pid is None else self._fork_server.reap(self.pid)
        if self._has_run:  # what it printed before is in the log of a job before
            death.last_output = b""
        return death

    def _signal(self, which: signal.Signals) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, which)
        elif which == signal.SIGKILL:
            self._fork_server.discard()
