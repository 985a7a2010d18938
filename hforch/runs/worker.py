"""The process that holds the model, as its parent sees it: started, given a job, followed to its end.

It is a fork of a parent that has loaded no library yet. So a run's memory is its own and really freed, a native crash
cannot take the parent down, and whatever libraries print goes to the job's log. The child tells through a pipe what
happens, and the parent shows it; `remote.py` is the other side.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.errors import EXIT_FAILED, EXIT_INTERRUPTED, ConfigError
from hforch.runs.remote import LOG, serve

if TYPE_CHECKING:
    from hforch.config.schema import Job
    from hforch.runs.given import Given
    from hforch.runs.watch import Watcher


AT_ONCE_S = 0.3  # what takes less than that need not be shown
IMPORT = -1  # the number of a stage that is the parent's own


class Worker:
    """A process for one job. It imports a backend's libraries at once, and then waits for the job.

    Attributes:
        backend: the name of the backend.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._environment = dict(os.environ)
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        arguments = (self._pipe, theirs, backend, os.getpid())
        self._process = context.Process(target=serve, args=arguments, name="hforch-worker")
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # The child is born deaf to Ctrl-C: until it has a record to finish, its parent answers for both.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()

    def suits(self, backend: str) -> bool:
        """Whether it has what a job needs that runs now: the libraries, and the environment they read."""
        return self.backend == backend and self._environment == dict(os.environ) and self._process.is_alive()

    def run(self, job: Job, directory: Path, given: Given, watcher: Watcher) -> int:
        """Let it run its job; arguments, exit codes and errors as for `runner.run_job`.

        One Ctrl-C lets the child finish its record; a second one kills it.
        """
        directory.mkdir(parents=True, exist_ok=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._pipe.send_bytes(pickle.dumps((job, directory, given, str(Path.cwd()))))
        outcome = _follow(self._pipe, self._process, watcher)
        self._process.join()
        self._pipe.close()
        if isinstance(outcome, ConfigError):
            raise outcome
        if isinstance(outcome, int):
            return outcome
        return _died(self._process.exitcode or 0, directory, watcher)

    def discard(self) -> None:
        """End one that no job was found for."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def run_apart(job: Job, directory: Path, given: Given, watcher: Watcher) -> int:
    """Run one job in a process of its own, in the one that waits for it if there is one; see `Worker.run`."""
    from hforch.runs import early

    worker = early.take(job.backend.name) or Worker(job.backend.name)
    return worker.run(job, directory, given, watcher)


def _follow(pipe: Connection, child: Any, watcher: Watcher) -> int | ConfigError | None:
    """Show what the child tells, until it has told its outcome and is gone."""
    shows = Shows(watcher)
    interrupts = 0
    outcome: int | ConfigError | None = None
    while True:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            shows.wait(pipe)
            kind, *rest = pipe.recv()
            if kind == "outcome":
                outcome = rest[0]
            else:
                shows.show(kind, *rest)
        except KeyboardInterrupt:
            interrupts += 1
            os.kill(child.pid, signal.SIGINT if interrupts == 1 else signal.SIGKILL)
        except (EOFError, ConnectionResetError):
            break
    shows.close()
    return EXIT_INTERRUPTED if outcome is None and interrupts else outcome


class Shows:
    """Passes on to a Watcher what `Remote` sent; when it cannot be written any more (`| head`), to nobody."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._begun = False
        self._stages: dict[int, tuple[ExitStack, Callable[[int], None]]] = {}

    def wait(self, pipe: Connection) -> None:
        """Until the child says its first word, show that it imports its libraries, if that takes a while."""
        if not self._begun and not pipe.poll(AT_ONCE_S):
            self.show("stage", IMPORT, "import", "the libraries of the backend")
            try:
                pipe.poll(None)
            finally:
                self.show("end", IMPORT, True)
        self._begun = True

    def show(self, kind: str, *rest: Any) -> None:
        try:
            self._show(kind, *rest)
        except OSError:
            from hforch.runs.watch import Nobody

            self._watcher = Nobody()  # the run goes on: its record is still wanted

    def close(self) -> None:
        """Leave the stages that the child could not leave."""
        for number in list(self._stages):
            self.show("end", number, False)

    def _show(self, kind: str, *rest: Any) -> None:
        if kind == "stage":
            number, *about = rest
            stack = ExitStack()
            self._stages[number] = (stack, stack.enter_context(self._watcher.stage(*about)))
        elif kind == "advance":
            if rest[0] in self._stages:
                self._stages[rest[0]][1](rest[1])
        elif kind == "end":
            number, finished = rest
            if number in self._stages:
                stack, _ = self._stages.pop(number)
                stopped = None if finished else KeyboardInterrupt()
                stack.__exit__(type(stopped) if stopped else None, stopped, None)
        else:
            getattr(self._watcher, kind)(*rest)


def _died(code: int, directory: Path, watcher: Watcher) -> int:
    """The child is gone without a word: put the reason into the record that it had begun."""
    from hforch.runs.records import SCHEMA_VERSION, RecordWriter, read_record

    reason = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        reason += ", most likely because memory ran out"
    message = f"the process that held the model was {reason}; its last words are in {directory / LOG}"
    error = {"type": "WorkerDied", "message": message}
    try:
        record = read_record(directory)
    except (OSError, ValueError):
        record = {"schema_version": SCHEMA_VERSION}
    record |= {"status": "failed", "exit_code": EXIT_FAILED, "error": error}
    with RecordWriter(directory) as writer:
        writer.write(record)
    watcher.finished(record, str(directory))
    return EXIT_FAILED
