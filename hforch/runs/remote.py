"""The worker's side: it imports what its backend needs, waits for a job, runs it, and tells its parent all about it."""

from __future__ import annotations

import ctypes
import logging.config
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hforch.errors import EXIT_INTERRUPTED, ConfigError
from hforch.runs.libraries import UNUSED, import_runner, preload, without_garbage_collection, without_module

PR_SET_PDEATHSIG = 1
LOG = "hforch.log"


def serve(theirs: Connection, pipe: Connection, backend: str, parent: int) -> None:
    """What the child does, from its birth to its end; SIGINT is blocked until the job's record is begun.

    Args:
        theirs: the parent's end of the pipe, which it must not keep open.
        pipe: its own end.
        backend: whose libraries to import.
        parent: the parent's process id.
    """
    theirs.close()
    os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, which passes it on once
    _end_with(parent, signal.SIGKILL)
    signal.signal(signal.SIGINT, _interrupt_once)
    said = os.memfd_create("hforch-log")  # there is no log yet, and nothing may go to the terminal
    _redirect(said)
    with without_garbage_collection(), without_module(UNUSED):
        import_runner()
        preload(backend)
    try:
        job, directory, given, folder = pickle.loads(pipe.recv_bytes())
    except EOFError:
        return
    _end_with(parent, signal.SIGINT)
    os.chdir(folder)
    log = os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(log, Path(f"/proc/self/fd/{said}").read_bytes())
    _redirect(log)
    os.close(said)
    if given.logging:
        logging.config.dictConfig(dict(given.logging))
    from hforch.runs.runner import run_job

    try:
        outcome: Any = run_job(job, directory, given, Remote(pipe))
    except ConfigError as error:
        outcome = error
    except KeyboardInterrupt:
        outcome = EXIT_INTERRUPTED
    _send(pipe, "outcome", outcome)
    pipe.close()


def _redirect(file: int) -> None:
    os.dup2(file, 1)
    os.dup2(file, 2)


def _interrupt_once(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with(parent: int, by: signal.Signals) -> None:
    """Get a signal when the parent is gone, so that no model is left in memory (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        os._exit(EXIT_INTERRUPTED)


class Remote:
    """The Watcher in the child: it sends everything to the parent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._numbers = count()

    @contextmanager
    def _stage(self, name: str, detail: str, total: int | None) -> Iterator[Callable[[int], None]]:
        number = next(self._numbers)
        _send(self._pipe, "stage", number, name, detail, total)
        finished = False
        try:
            yield lambda units: _send(self._pipe, "advance", number, units)
            finished = True
        finally:
            _send(self._pipe, "end", number, finished)

    def stage(self, name: str, detail: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        return self._stage(name, detail, total)

    def note(self, text: str) -> None:
        _send(self._pipe, "note", text)

    def header(self, parts: Mapping[str, str]) -> None:
        _send(self._pipe, "header", dict(parts))

    def question(self, item: Any) -> None:
        _send(self._pipe, "question", item)

    def text(self, piece: str) -> None:
        _send(self._pipe, "text", piece)

    def samples(self, total: int) -> None:
        _send(self._pipe, "samples", total)

    def sample(self, sample: Mapping[str, Any]) -> None:
        _send(self._pipe, "sample", dict(sample))

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        import json

        from hforch.runs.records import to_json

        _send(self._pipe, "finished", json.loads(to_json(record)), directory)


def _send(pipe: Connection, *message: Any) -> None:
    """Tell the parent; without one there is nobody to tell, and the record is what counts."""
    with suppress(OSError):
        pipe.send_bytes(pickle.dumps(message))
