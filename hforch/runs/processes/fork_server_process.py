"""The code that runs in a fork server: import the libraries of a backend and start workers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

from hforch.errors import HforchError
from hforch.runs.processes.fork_safety import initialized
from hforch.runs.processes.imports import import_all
from hforch.runs.processes.messages import (
    ListInitialized,
    ReapWorker,
    Refused,
    ServerRequest,
    Started,
    StartWorker,
    WorkerEnd,
    receive,
    send,
    send_if_heard,
)
from hforch.runs.processes.spawn import SpawnEnvironment
from hforch.runs.processes.worker_process import redirect, run_worker
from hforch.utils.log_tail import tail
from hforch.utils.process_lifetime import exit_with_parent
from hforch.utils.system_limits import limit_reached


def run_fork_server(pipe: Connection, others: Sequence[Connection], backend: str, parent: int, early_log: int) -> None:
    """Run a fork server until its parent closes the pipe; SIGINT is blocked in it and in its children.

    Args:
        pipe: its end of the pipe to its parent.
        others: the parent's ends of all pipes, to be closed.
        backend: the backend whose libraries it imports.
        parent: the parent's process id.
        early_log: a file descriptor for the output of the libraries, since there is no job log yet.
    """
    for other in others:
        other.close()
    os.setpgid(0, 0)  # a new process group, so that Ctrl-C reaches only the parent, which forwards it once
    exit_with_parent(parent)
    redirect(early_log)
    own = ForkServerProcess(pipe, early_log, backend)
    import_all(backend)
    own.serve()


class ForkServerProcess:
    """A handler of the parent's requests, until the parent closes the pipe."""

    def __init__(self, pipe: Connection, early_log: int, backend: str) -> None:
        self._pipe, self._early_log, self._backend = pipe, early_log, backend
        self._interpreter = SpawnEnvironment.here()
        self._spawned: dict[int, tuple[subprocess.Popen[bytes], int]] = {}

    def serve(self) -> None:
        while True:
            try:
                request = receive(self._pipe)
            except EOFError:
                return
            self.handle(request)

    def handle(self, request: ServerRequest) -> None:
        match request:
            case StartWorker():
                self._start_worker(request.uses_accelerator)
            case ReapWorker():
                send(self._pipe, self._reap(request.pid))
            case ListInitialized():
                send(self._pipe, initialized())

    def _start_worker(self, uses_accelerator: bool) -> None:
        """Start a worker: a fork, or a new Python process if a fork could not use an accelerator that it needs."""
        pipe = Connection(recv_handle(self._pipe))
        because = initialized() if uses_accelerator else []
        own = os.getpid()
        try:
            if because:
                self._start(pipe, because)
            elif not os.fork():
                self._pipe.close()
                run_worker(pipe, self._early_log, own, {"start": "fork"})
        except (OSError, HforchError) as error:
            send_if_heard(pipe, Refused(limit_reached(error) or str(error)))
        pipe.close()

    def _reap(self, pid: int) -> WorkerEnd:
        """Wait until a worker has exited."""
        process, early_log = self._spawned.pop(pid, (None, self._early_log))
        code = process.wait() if process else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        end = WorkerEnd(code, tail(early_log))
        if process:
            os.close(early_log)
        return end

    def _start(self, pipe: Connection, because: Sequence[str]) -> None:
        early_log = os.memfd_create("hforch-log")
        try:
            process = self._interpreter.start(self._backend, pipe, early_log, because)
        except BaseException:
            os.close(early_log)
            raise
        self._spawned[process.pid] = (process, early_log)
        send_if_heard(pipe, Started(process.pid))
