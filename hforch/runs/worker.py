"""The process that holds the model: a fork of a parent that has loaded no library yet.

So a run's memory is its own and really freed, a native crash cannot take the parent down, and whatever libraries print
goes to the job's log. The child tells through a pipe what happens, and the parent shows it.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hforch.config.schema import Job
from hforch.errors import EXIT_FAILED, EXIT_INTERRUPTED, ConfigError
from hforch.runs.given import Given
from hforch.runs.records import SCHEMA_VERSION, RecordWriter, read_record, to_json
from hforch.runs.watch import Nobody, Watcher

PR_SET_PDEATHSIG = 1
LOG = "hforch.log"


def run_apart(job: Job, directory: Path, given: Given, watcher: Watcher) -> int:
    """Run one job in a process of its own; arguments, exit codes and errors as for `runner.run_job`.

    One Ctrl-C lets the child finish its record; a second one kills it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (job, directory, given, sender, os.getpid())
    child = context.Process(target=_child, args=arguments, name="hforch-worker")
    sys.stdout.flush()
    sys.stderr.flush()
    # From the fork on, Ctrl-C waits until the child has a record to finish and the parent can tell it so.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child.start()
    sender.close()
    outcome = _follow(receiver, child, watcher)
    child.join()
    if isinstance(outcome, ConfigError):
        raise outcome
    if isinstance(outcome, int):
        return outcome
    return _died(child, directory, watcher)


def _follow(receiver: Connection, child: Any, watcher: Watcher) -> int | ConfigError | None:
    """Show what the child tells, until it has told its outcome and is gone."""
    shows = Shows(watcher)
    interrupts = 0
    outcome: int | ConfigError | None = None
    while True:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            kind, *rest = receiver.recv()
            if kind == "outcome":
                outcome = rest[0]
            else:
                shows.show(kind, *rest)
        except KeyboardInterrupt:
            interrupts += 1
            os.kill(child.pid, signal.SIGINT if interrupts == 1 else signal.SIGKILL)
        except EOFError:
            break
    shows.close()
    return EXIT_INTERRUPTED if outcome is None and interrupts else outcome


class Shows:
    """Passes on to a Watcher what `Remote` sent; when it cannot be written any more (`| head`), to nobody."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._stages: dict[int, tuple[ExitStack, Callable[[int], None]]] = {}

    def show(self, kind: str, *rest: Any) -> None:
        try:
            self._show(kind, *rest)
        except OSError:
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


def _died(child: Any, directory: Path, watcher: Watcher) -> int:
    """The child is gone without a word: put the reason into the record that it had begun."""
    code = child.exitcode
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


# ---------------------------------------------------------------- in the child
def _child(job: Job, directory: Path, given: Given, sender: Connection, parent: int) -> None:
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on once
    _die_with(parent)
    signal.signal(signal.SIGINT, _interrupt_once)
    log = os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from hforch.runs.runner import run_job

    try:
        outcome: Any = run_job(job, directory, given, Remote(sender))
    except ConfigError as error:
        outcome = error
    except KeyboardInterrupt:
        outcome = EXIT_INTERRUPTED
    _send(sender, "outcome", outcome)
    sender.close()


def _interrupt_once(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _die_with(parent: int) -> None:
    """Be interrupted when the parent is gone, so that no model is left in memory (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        os._exit(EXIT_INTERRUPTED)


class Remote:
    """The Watcher in the child: it sends everything to the parent."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender
        self._numbers = count()

    @contextmanager
    def _stage(self, name: str, detail: str, total: int | None) -> Iterator[Callable[[int], None]]:
        number = next(self._numbers)
        _send(self._sender, "stage", number, name, detail, total)
        finished = False
        try:
            yield lambda units: _send(self._sender, "advance", number, units)
            finished = True
        finally:
            _send(self._sender, "end", number, finished)

    def stage(self, name: str, detail: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        return self._stage(name, detail, total)

    def note(self, text: str) -> None:
        _send(self._sender, "note", text)

    def header(self, parts: Mapping[str, str]) -> None:
        _send(self._sender, "header", dict(parts))

    def question(self, item: Any) -> None:
        _send(self._sender, "question", item)

    def text(self, piece: str) -> None:
        _send(self._sender, "text", piece)

    def samples(self, total: int) -> None:
        _send(self._sender, "samples", total)

    def sample(self, sample: Mapping[str, Any]) -> None:
        _send(self._sender, "sample", dict(sample))

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        import json

        _send(self._sender, "finished", json.loads(to_json(record)), directory)


def _send(sender: Connection, *message: Any) -> None:
    """Tell the parent; without one there is nobody to tell, and the record is what counts."""
    try:
        sender.send_bytes(pickle.dumps(message))
    except (BrokenPipeError, OSError):
        return
