"""A worker's own side: it does what its parent asks, a job at a time, and tells all about it."""

from __future__ import annotations

import logging.config
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hforch.errors import EXIT_INTERRUPTED, HforchError, Mistake
from hforch.utils.process_lifetime import exit_with_parent
from hforch.utils.redaction import redact_logging, redacting, remember_all
from hforch.utils.system_limits import limit_reached

if TYPE_CHECKING:
    from hforch.config.schema import Job
    from hforch.machine.accelerators import Accelerator
    from hforch.runs.job_context import JobContext

LOG = "hforch.log"


def run_worker(pipe: Connection, said: int, fork_server: int, process: Mapping[str, Any]) -> NoReturn:
    """Be a worker, from its birth to its end; for the arguments see `Service`."""
    code = 1
    try:
        exit_with_parent(fork_server)
        WorkerService(pipe, said, fork_server, process).serve()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


class WorkerService:
    """A worker: it does what its parent asks, one thing at a time, until the parent hangs up.

    Args:
        pipe: to the parent.
        said: a file with what the libraries said while they were imported.
        fork_server: the id of the process that has started it.
        process: what records say of its start: `start` is fork or spawn, `because` names the accelerators that were
            initialized where a fork would have been made.
    """

    def __init__(self, pipe: Connection, said: int, fork_server: int, process: Mapping[str, Any]) -> None:
        from hforch.runs.model_slot import ModelSlot

        self.pipe, self.said, self.fork_server = pipe, said, fork_server
        self.model_slot = ModelSlot(process=process)
        sys.stdout, sys.stderr = redacting(1, sys.stdout), redacting(2, sys.stderr)

    def serve(self) -> None:
        send(self.pipe, "born", os.getpid())
        while True:
            try:
                kind, *rest = pickle.loads(self.pipe.recv_bytes())
            except EOFError:
                return
            outcome: Any = getattr(self, kind)(*rest)
            send(self.pipe, "outcome", outcome)

    def job(self, job: Job, directory: Path, job_context: JobContext, folder: str) -> tuple[int | HforchError, bool]:
        """Run a job; its exit code or mistakes, and whether this process holds a model that is good for more."""
        signal.signal(signal.SIGINT, _interrupt_once)
        exit_with_parent(self.fork_server, signal.SIGINT)
        os.chdir(folder)
        log = os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if not self.model_slot.key:
            os.write(log, Path(f"/proc/self/fd/{self.said}").read_bytes())
        redirect(log)
        os.close(log)
        remember_all(job_context.credentials)
        if job_context.logging:
            logging.config.dictConfig(dict(job_context.logging))
            redact_logging()
        from hforch.runs.runner import run_job

        try:
            outcome: int | HforchError = run_job(job, directory, job_context, PipeWatcher(self.pipe), self.model_slot)
        except HforchError as error:
            outcome = error
        except KeyboardInterrupt:
            outcome = EXIT_INTERRUPTED
        except (OSError, RuntimeError, MemoryError) as error:
            if (told := limit_reached(error)) is None:
                raise
            outcome = HforchError(told)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        return outcome, bool(self.model_slot.key)

    def check(self, jobs: Sequence[Job]) -> list[list[Mistake]]:
        """What this machine cannot do for each of the jobs."""
        from hforch.backends.base import check

        return [check(job) for job in jobs]

    def devices(self, jobs: Sequence[Job]) -> list[Accelerator]:
        """Return the accelerators that some jobs are for, with what is free of them."""
        from hforch.runs.memory_check import devices_for

        return devices_for(jobs)

    def again(self) -> tuple[float, float] | None:
        """The seconds that the first batch took, at first and now; None if there is none to repeat."""
        return self.model_slot.again()


def redirect(file: int) -> None:
    os.dup2(file, 1)
    os.dup2(file, 2)


def _interrupt_once(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


class PipeWatcher:
    """The Watcher in the child: it sends everything to the parent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._numbers = count()

    @contextmanager
    def _stage(self, name: str, detail: str, total: int | None) -> Iterator[Callable[[int], None]]:
        number = next(self._numbers)
        send(self._pipe, "stage", number, name, detail, total)
        finished = False
        try:
            yield lambda units: send(self._pipe, "advance", number, units)
            finished = True
        finally:
            send(self._pipe, "end", number, finished)

    def stage(self, name: str, detail: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        return self._stage(name, detail, total)

    def note(self, text: str) -> None:
        send(self._pipe, "note", text)

    def header(self, parts: Mapping[str, str]) -> None:
        send(self._pipe, "header", dict(parts))

    def question(self, item: Any) -> None:
        send(self._pipe, "question", item)

    def text(self, piece: str) -> None:
        send(self._pipe, "text", piece)

    def samples(self, total: int) -> None:
        send(self._pipe, "samples", total)

    def sample(self, sample: Mapping[str, Any]) -> None:
        send(self._pipe, "sample", dict(sample))

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        import json

        from hforch.records.record_files import to_json

        brief = {name: value for name, value in record.items() if name != "plan"}  # which names every input
        send(self._pipe, "finished", json.loads(to_json(brief)), directory)


def send(pipe: Connection, *message: Any) -> None:
    """Tell the parent; without one there is nobody to tell, and the record is what counts."""
    with suppress(OSError):
        pipe.send_bytes(pickle.dumps(message))
