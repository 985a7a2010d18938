"""Workers that are spawned: started as a new Python, and not as a fork.

A fork of a process that has initialized an accelerator cannot use it. So where importing a backend's libraries does
that (`fork_safety.py`), the fork server starts a new Python for each worker that may use one. It imports the
libraries itself, and is told what else a fork would have inherited. The program that called hforch is not run in it.
"""

from __future__ import annotations

import json
import multiprocessing.spawn
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from hforch.errors import HforchError
from hforch.runs.processes.imports import import_all
from hforch.runs.processes.worker_process import run_worker
from hforch.utils.process_lifetime import exit_with_parent

PROGRAM = (
    "import json, sys; told = json.load(sys.stdin); sys.path[:] = told.pop('path');"
    " from hforch.runs.processes.spawn import main; main(**told)"
)


@dataclass(frozen=True)
class SpawnEnvironment:
    """What a new Python needs to be like this one, before a library has changed anything.

    Attributes:
        environment: its environment variables.
        path: where modules are found.
        arguments: `sys.argv`.
    """

    environment: Mapping[str, str]
    path: Sequence[str]
    arguments: Sequence[str]

    @classmethod
    def here(cls) -> SpawnEnvironment:
        root = str(Path(__file__).resolve().parents[3])
        path = sys.path if root in sys.path else [*sys.path, root]
        return cls(dict(os.environ), list(path), list(sys.argv))

    def start(self, backend: str, pipe: Connection, early_log: int, because: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a worker as a child of this process.

        Args:
            backend: whose libraries it imports.
            pipe: its end of the pipe to the process that asks.
            early_log: a file for what it prints before there is a log.
            because: what is initialized here.

        Raises:
            HforchError: no Python is known that could be started.
            OSError: it cannot be started.
        """
        told = {
            **{"path": self.path, "arguments": self.arguments, "backend": backend, "because": because},
            **{"fork_server": os.getpid(), "pipe": pipe.fileno(), "early_log": early_log},
        }
        with os.fdopen(os.memfd_create("hforch-worker"), "w+b") as asked:
            asked.write(json.dumps(told).encode("ascii"))
            asked.seek(0)
            return subprocess.Popen(
                [*_python(), "-c", PROGRAM],
                stdin=asked,
                stdout=early_log,
                stderr=early_log,
                env=self.environment,
                pass_fds=(pipe.fileno(), early_log),
            )


def _python() -> list[str]:
    """Return the command that starts this Python with the options that it was given (`-W`, `-X`, ...)."""
    executable = multiprocessing.spawn.get_executable()
    if not executable or getattr(sys, "frozen", False):
        hint = "runtime.isolation=inline runs the job without a process of its own"
        raise HforchError(f"a worker cannot be started anew: this program has no Python interpreter\n    {hint}")
    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # -P: a json.py in the working directory is not the library's.
    return [os.fsdecode(executable), *options, "-P"]


def main(
    arguments: Sequence[str], backend: str, because: Sequence[str], fork_server: int, pipe: int, early_log: int
) -> NoReturn:
    """Import the libraries and work, in the new process; see `SpawnEnvironment.start`."""
    exit_with_parent(fork_server)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.argv[:] = arguments
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    import_all(backend)
    run_worker(Connection(pipe), early_log, fork_server, {"start": "spawn", "because": list(because)})
