"""Start workers as new Python processes instead of forks.

A fork of a process that has initialized an accelerator cannot use it. If importing a backend's libraries initializes
one (`fork_safety.py`), the fork server therefore starts a new Python process for each worker that may use it. That
process imports the libraries itself and receives the state that a fork would inherit. It never runs the caller's main
program.
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
    "import json, sys; given = json.load(sys.stdin); sys.path[:] = given.pop('path');"
    " from hforch.runs.processes.spawn import main; main(**given)"
)


@dataclass(frozen=True)
class SpawnEnvironment:
    """The state of this process that a spawned worker gets, captured before libraries are imported.

    Attributes:
        environment: the environment variables.
        path: `sys.path`.
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
            backend: the backend whose libraries it imports.
            pipe: its end of the pipe to the command.
            early_log: a file descriptor for its output before there is a job log.
            because: the accelerators that are initialized in this process.

        Raises:
            HforchError: there is no Python interpreter.
            OSError: the process cannot be started.
        """
        given = {
            **{"path": self.path, "arguments": self.arguments, "backend": backend, "because": because},
            **{"fork_server": os.getpid(), "pipe": pipe.fileno(), "early_log": early_log},
        }
        with os.fdopen(os.memfd_create("hforch-worker"), "w+b") as asked:
            asked.write(json.dumps(given).encode("ascii"))
            asked.seek(0)
            return subprocess.Popen(
                [*python_command(), "-c", PROGRAM],
                stdin=asked,
                stdout=early_log,
                stderr=early_log,
                env=self.environment,
                pass_fds=(pipe.fileno(), early_log),
            )


def python_command() -> list[str]:
    """Return the command that starts this Python interpreter with the same options (`-W`, `-X`, ...)."""
    executable = multiprocessing.spawn.get_executable()
    if not executable or getattr(sys, "frozen", False):
        hint = "runtime.isolation=inline runs the job in the current process"
        raise HforchError(f"cannot start a worker process: this program has no Python interpreter\n    {hint}")
    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    # -P: do not import a json.py in the working directory instead of the standard library's.
    return [os.fsdecode(executable), *options, "-P"]


def main(
    arguments: Sequence[str], backend: str, because: Sequence[str], fork_server: int, pipe: int, early_log: int
) -> NoReturn:
    """Run the worker in the new process; for the arguments see `SpawnEnvironment.start`."""
    exit_with_parent(fork_server)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.argv[:] = arguments
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    import_all(backend)
    run_worker(Connection(pipe), early_log, fork_server, {"start": "spawn", "because": list(because)})
