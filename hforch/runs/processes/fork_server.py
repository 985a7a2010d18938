"""Handles with which the parent process controls its fork servers and workers.

A fork server is forked from a parent that has not imported any backend library. It only imports the libraries of one
backend, so that its forks, the workers, have them immediately. If these imports have initialized an accelerator,
which a fork could not use, a worker that needs one is a new Python process instead (`spawn.py`). A worker holds one
model and runs the jobs that share it. Memory is therefore measured per run and freed completely, a native crash does
not affect the parent, and the output of libraries goes to the job's log. `messages.py` defines the messages,
`fork_server_process.py` and `worker_process.py` are the code of the child processes, and `worker_pool.py` manages the
processes of one command.
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


ENDING_S = 1.0  # how long to wait for a process to exit after its pipe was closed

_ours: WeakSet[Connection] = WeakSet()  # the parent's ends of all pipes, which children must close


class ForkServer:
    """A process that has imported the libraries of a backend and starts workers.

    Attributes:
        backend: the name of the backend.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._environment = dict(os.environ)
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        _ours.add(self._pipe)
        self._early_log = os.memfd_create("hforch-log")  # output of the libraries before there is a job log
        arguments = (theirs, list(_ours), backend, os.getpid(), self._early_log)
        # daemon: multiprocessing then ends it even if the parent exits without closing it, as launchers' processes do.
        self._process = context.Process(target=run_fork_server, args=arguments, name=f"hforch-{backend}", daemon=True)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # The child starts with SIGINT blocked: until a worker has a record to finish, the parent handles Ctrl-C alone.
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
        """Return whether the process is alive and was started for this backend with the current environment."""
        return self.backend == backend and self._environment == dict(os.environ) and self._process.is_alive()

    def start_worker(self, uses_accelerator: bool) -> Worker:
        """Start a worker.

        Args:
            uses_accelerator: whether its jobs may use an accelerator.

        Raises:
            WorkerDied: the fork server has exited.
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
        """Wait for the imports; return the accelerators they initialized, or None if the process has exited."""
        found: list[str] | None = self._ask(ListInitialized())
        return found

    def reap(self, pid: int) -> WorkerDied:
        """Wait until a worker of this fork server has exited; return how it exited."""
        end: WorkerEnd | None = self._ask(ReapWorker(pid))
        if end is None:
            return WorkerDied(None, parent=self.death())
        return WorkerDied(end.code, end.last_output)

    def death(self) -> WorkerDied:
        """Return how the fork server itself exited."""
        self._process.join(ENDING_S)
        last_output = b""
        with suppress(OSError):  # the log was closed by `discard`
            last_output = tail(self._early_log)
        return WorkerDied(self._process.exitcode, last_output, f"the process that imports the {self.backend} libraries")

    def discard(self) -> None:
        """Kill the process and its workers."""
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
        pid: its process id; None until it has started.
        interrupted: whether Ctrl-C was forwarded to it.
    """

    def __init__(self, fork_server: ForkServer, pipe: Connection) -> None:
        self._fork_server, self._pipe = fork_server, pipe
        self.pid: int | None = None
        self.interrupted = self._has_run = False

    def ask(self, request: WorkerRequest, watcher: Watcher | None = None) -> Any:
        """Send a request, forward events to the watcher until it is handled, and return the outcome.

        The first Ctrl-C is forwarded, so that a worker with a job finishes its record; a second one kills the worker.

        Raises:
            WorkerDied: the worker exited without an outcome.
            HforchError: the worker could not be started.
            KeyboardInterrupt: the worker was killed by Ctrl-C.
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
        """Close the pipe and wait until the process has exited and freed its memory."""
        self._pipe.close()
        if self.pid is not None:
            self._fork_server.reap(self.pid)

    def _end(self) -> WorkerDied:
        self._pipe.close()
        death = self._fork_server.death() if self.pid is None else self._fork_server.reap(self.pid)
        if self._has_run:  # its early output is already in the log of an earlier job
            death.last_output = b""
        return death

    def _signal(self, which: signal.Signals) -> None:
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, which)
        elif which == signal.SIGKILL:
            self._fork_server.discard()
