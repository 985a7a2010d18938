"""Start the process that runs jobs, show its progress, and return its outcome or raise its error."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from hforch.api.as_arguments import as_argument
from hforch.api.messages import Began, Ended, Raised
from hforch.api.progress import open_progress
from hforch.errors import EXIT_INTERRUPTED, ConfigError, HforchError, first_line
from hforch.runs.processes.spawn import python_command
from hforch.utils.redaction import redacted_line

PROGRAM = (
    "import json, sys; given = json.load(sys.stdin); sys.path[:] = given.pop('path');"
    " from hforch.api.child import main; main(**given)"
)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a command.

    Attributes:
        directory: the directory of the run or sweep.
        code: the exit code of the command line.
    """

    directory: Path
    code: int


def run_command(
    words: Sequence[str], recipe: str | Path | None, sweeps: bool, is_shown: bool, progress: bool | None
) -> Outcome:
    """Run a command line in a new process.

    Args:
        words: the arguments of `hforch`.
        sweeps: whether it must be a sweep.
        is_shown: whether its output is printed.
        progress: whether to show a progress bar; None: only in notebooks, if the output is not printed.

    Raises:
        HforchError: the command failed before it ran a job, or its process died.
        KeyboardInterrupt: the command was interrupted.
    """
    directory: Path | None = None
    with _started(words, recipe, sweeps, is_shown) as (process, pipe, output), open_progress(progress, is_shown) as bar:
        interrupts = 0
        while True:
            try:
                message = pipe.recv()
            except KeyboardInterrupt:
                interrupts += 1  # the first one stops the jobs, and completes their records
                process.send_signal(signal.SIGINT if interrupts == 1 else signal.SIGKILL)
                continue
            except EOFError:
                break
            if isinstance(message, Raised):
                raise _as_in_python(message.error)
            if isinstance(message, Began):
                directory = message.directory
            if isinstance(message, Ended):
                process.wait()
                if message.code == EXIT_INTERRUPTED or interrupts:
                    raise _interrupt(directory)
                assert directory is not None
                return Outcome(directory, message.code)
            bar.show(message)
        code = process.wait()
        if interrupts:
            raise _interrupt(directory)
        raise HforchError(
            redacted_line(f"the process that runs the jobs exited with code {code}: {_last_line(output)}")
        )


def _as_in_python(error: HforchError) -> HforchError:
    return ConfigError(map(as_argument, error.mistakes)) if isinstance(error, ConfigError) else error


def _interrupt(directory: Path | None) -> KeyboardInterrupt:
    """Return the exception for an interrupted command; its message names the command that continues it."""
    if directory is None:
        return KeyboardInterrupt("interrupted before a job started")
    return KeyboardInterrupt(f"interrupted; to continue: hforch resume {shlex.quote(str(directory))}")


@contextmanager
def _started(
    words: Sequence[str], recipe: str | Path | None, sweeps: bool, is_shown: bool
) -> Iterator[tuple[subprocess.Popen[bytes], Connection, IO[bytes]]]:
    """Yield the process, a pipe for its messages, and a file with its output unless that is printed."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
    given: dict[str, Any] = {
        **{"path": _path(), "words": list(words), "recipe": None if recipe is None else str(recipe)},
        **{"sweeps": sweeps, "pipe": theirs.fileno(), "parent": os.getpid()},
    }
    sys.stdout.flush()
    with tempfile.TemporaryFile() as output, ours:
        printer = _Printer() if is_shown and sys.stdout is not sys.__stdout__ else None
        stream = printer.writing_end if printer else None if is_shown else output
        process = subprocess.Popen(
            [*python_command(), "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,  # Ctrl-C reaches it once, from this process
        )
        theirs.close()
        if printer:
            printer.start()
        try:
            assert process.stdin is not None
            with process.stdin as stdin:
                stdin.write(json.dumps(given).encode("ascii"))
            yield process, ours, output
        finally:
            if process.poll() is None:
                try:
                    process.wait(10)
                except (subprocess.TimeoutExpired, KeyboardInterrupt):
                    process.kill()
                    process.wait()
            if printer:
                printer.join()


class _Printer(threading.Thread):
    """A thread that prints the output of a process to sys.stdout, which is not the process's own in a notebook."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._reading_end, self.writing_end = os.pipe()
        self._stream = sys.stdout

    def start(self) -> None:
        os.close(self.writing_end)  # the process has its own copy
        super().start()

    def run(self) -> None:
        with os.fdopen(self._reading_end, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._stream.write(line)


def _path() -> list[str]:
    root = str(Path(__file__).resolve().parents[2])
    return sys.path if root in sys.path else [*sys.path, root]


def _last_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode("utf-8", "replace").split("\n")
    return first_line(next((line for line in reversed(lines) if line.strip()), "no output"))
