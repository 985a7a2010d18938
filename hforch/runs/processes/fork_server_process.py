"""A fork server's own side: it imports the libraries of a backend and bears workers."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import Any

from hforch.errors import HforchError
from hforch.runs.processes.fork_safety import initialized
from hforch.runs.processes.imports import import_all
from hforch.runs.processes.spawn import SpawnEnvironment
from hforch.runs.processes.worker_process import redirect, run_worker, send
from hforch.utils.log_tail import tail
from hforch.utils.process_lifetime import exit_with_parent
from hforch.utils.system_limits import limit_reached


def run_fork_server(pipe: Connection, others: Sequence[Connection], backend: str, parent: int, said: int) -> None:
    """What a fork server does, from its birth to its end; SIGINT is blocked in it and in its children.

    Args:
        pipe: its own end of the pipe to its parent.
        others: ends of pipes that are the parent's, which it must not keep open.
        backend: whose libraries to import.
        parent: the parent's process id.
        said: a file for what the libraries print: there is no log yet, and nothing may go to the terminal.
    """
    for other in others:
        other.close()
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on once
    exit_with_parent(parent)
    redirect(said)
    own = ForkServerProcess(pipe, said, backend)
    import_all(backend)
    own.serve()


class ForkServerProcess:
    """Does what the parent asks of a fork server, until it hangs up."""

    def __init__(self, pipe: Connection, said: int, backend: str) -> None:
        self._pipe, self._said, self._backend = pipe, said, backend
        self._interpreter = SpawnEnvironment.here()
        self._anew: dict[int, tuple[subprocess.Popen[bytes], int]] = {}

    def serve(self) -> None:
        while True:
            try:
                kind, *rest = pickle.loads(self._pipe.recv_bytes())
            except EOFError:
                return
            getattr(self, kind)(*rest)

    def start_worker(self, uses_accelerator: bool) -> None:
        """Start a worker: a fork, unless it could not use an accelerator then."""
        pipe = Connection(recv_handle(self._pipe))
        because = initialized() if uses_accelerator else []
        own = os.getpid()
        try:
            if because:
                self._start(pipe, because)
            elif not os.fork():
                self._pipe.close()
                run_worker(pipe, self._said, own, {"start": "fork"})
        except (OSError, HforchError) as error:
            send(pipe, "refused", limit_reached(error) or str(error))
        pipe.close()

    def reap(self, pid: int) -> None:
        """Tell how a worker ended, and the last of what it printed before it had a log; waits for the end."""
        process, said = self._anew.pop(pid, (None, self._said))
        code = process.wait() if process else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._answer((code, tail(said)))
        if process:
            os.close(said)

    def initialized(self) -> None:
        self._answer(initialized())

    def _start(self, pipe: Connection, because: Sequence[str]) -> None:
        said = os.memfd_create("hforch-log")
        try:
            process = self._interpreter.start(self._backend, pipe, said, because)
        except BaseException:
            os.close(said)
            raise
        self._anew[process.pid] = (process, said)
        send(pipe, "started", process.pid)

    def _answer(self, answer: Any) -> None:
        self._pipe.send_bytes(pickle.dumps(answer))
