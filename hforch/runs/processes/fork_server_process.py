"""A fork server's own side: it imports the libraries of a backend and starts workers."""

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
    """What a fork server does, from its start to its end; SIGINT is blocked in it and in its children.

    Args:
        pipe: its own end of the pipe to its parent.
        others: ends of pipes that are the parent's, which it must not keep open.
        backend: whose libraries to import.
        parent: the parent's process id.
        early_log: a file for what the libraries print: there is no log yet, and nothing may go to the terminal.
    """
    for other in others:
        other.close()
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on once
    exit_with_parent(parent)
    redirect(early_log)
    own = ForkServerProcess(pipe, early_log, backend)
    import_all(backend)
    own.serve()


class ForkServerProcess:
    """Does what the parent asks of a fork server, until it hangs up."""

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
        """Start a worker: a fork, unless it could not use an accelerator then."""
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
        """Wait until a worker has ended."""
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
