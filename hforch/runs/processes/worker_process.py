"""The code that runs in a worker: handle requests one at a time and send events to the parent."""

from __future__ import annotations

import logging.config
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from hforch.errors import EXIT_INTERRUPTED, HforchError
from hforch.machine import own_processes
from hforch.runs.processes.imports import get_ready
from hforch.runs.processes.messages import (
    CheckJobs,
    Finished,
    Header,
    JobOutcome,
    ListDevices,
    Note,
    OneSample,
    Outcome,
    Question,
    Ready,
    RepeatFirstBatch,
    RoundMeasured,
    RunJob,
    SampleCount,
    StageAdvanced,
    StageBegan,
    StageEnded,
    Text,
    WorkerEvent,
    WorkerRequest,
    receive,
    send_if_heard,
)
from hforch.utils.process_lifetime import exit_with_parent
from hforch.utils.redacted_output import redact_logging, redacting
from hforch.utils.redaction import remember_all
from hforch.utils.system_limits import limit_reached

LOG = "hforch.log"


def run_worker(pipe: Connection, early_log: int, fork_server: int, process: Mapping[str, Any]) -> NoReturn:
    """Run a worker until its parent closes the pipe; for the arguments see `WorkerService`."""
    code = 1
    try:
        exit_with_parent(fork_server)
        with suppress(OSError, ValueError):
            own_processes.belong_to(own_processes.parent_of(fork_server))
        WorkerService(pipe, early_log, fork_server, process).serve()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


class WorkerService:
    """A handler of the parent's requests, one at a time, until the parent closes the pipe.

    Args:
        pipe: the worker's end of the pipe to the parent.
        early_log: a file descriptor with the output of the libraries during their import.
        fork_server: the process id of the fork server that started the worker.
        process: the start of the worker, for records: `start` is fork or spawn; `because` names the accelerators that
            were initialized in the fork server.
    """

    def __init__(self, pipe: Connection, early_log: int, fork_server: int, process: Mapping[str, Any]) -> None:
        from hforch.runs.model_slot import ModelSlot

        self.pipe, self.early_log, self.fork_server = pipe, early_log, fork_server
        self.model_slot = ModelSlot(process=process)
        sys.stdout, sys.stderr = redacting(1, sys.stdout), redacting(2, sys.stderr)

    def serve(self) -> None:
        send_if_heard(self.pipe, Ready(os.getpid()))
        while True:
            try:
                request = receive(self.pipe)
            except EOFError:
                return
            send_if_heard(self.pipe, Outcome(self.handle(request)))
            if isinstance(request, CheckJobs):  # while the parent creates the job's directory
                get_ready()

    def handle(self, request: WorkerRequest) -> Any:
        """Handle a request; return the outcome that its type documents."""
        match request:
            case RunJob():
                return self._run(request)
            case CheckJobs():
                from hforch.backends.base import check

                return [check(job) for job in request.jobs]
            case ListDevices():
                from hforch.runs.memory_check import devices_for

                return devices_for(request.jobs)
            case RepeatFirstBatch():
                return self.model_slot.again()

    def _run(self, request: RunJob) -> JobOutcome:
        directory, job_context = request.directory, request.job_context
        signal.signal(signal.SIGINT, _interrupt_once)
        exit_with_parent(self.fork_server, signal.SIGINT)
        os.chdir(request.working_directory)
        log = os.open(directory / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if not self.model_slot.key:
            os.write(log, Path(f"/proc/self/fd/{self.early_log}").read_bytes())
        redirect(log)
        os.close(log)
        remember_all(job_context.credentials)
        if job_context.logging:
            logging.config.dictConfig(dict(job_context.logging))
            redact_logging()
        from hforch.runs.runner import run_job

        try:
            outcome: int | HforchError = run_job(
                request.job, directory, job_context, PipeWatcher(self.pipe), self.model_slot
            )
        except HforchError as error:
            outcome = error
        except KeyboardInterrupt:
            outcome = EXIT_INTERRUPTED
        except (OSError, RuntimeError, MemoryError) as error:
            if (problem := limit_reached(error)) is None:
                raise
            outcome = HforchError(problem)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        return JobOutcome(outcome, bool(self.model_slot.key))


def redirect(file: int) -> None:
    os.dup2(file, 1)
    os.dup2(file, 2)


def _interrupt_once(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


class PipeWatcher:
    """A Watcher that sends all events to the parent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._numbers = count()

    def _send(self, event: WorkerEvent) -> None:
        send_if_heard(self._pipe, event)

    @contextmanager
    def _stage(self, name: str, detail: str, total: int | None) -> Iterator[Callable[[int], None]]:
        number = next(self._numbers)
        self._send(StageBegan(number, name, detail, total))
        finished = False
        try:
            yield lambda units: self._send(StageAdvanced(number, units))
            finished = True
        finally:
            self._send(StageEnded(number, finished))

    def stage(self, name: str, detail: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        return self._stage(name, detail, total)

    def note(self, text: str) -> None:
        self._send(Note(text))

    def header(self, parts: Mapping[str, str]) -> None:
        self._send(Header(dict(parts)))

    def question(self, item: Any) -> None:
        self._send(Question(item))

    def text(self, piece: str) -> None:
        self._send(Text(piece))

    def samples(self, total: int) -> None:
        self._send(SampleCount(total))

    def sample(self, sample: Mapping[str, Any]) -> None:
        self._send(OneSample(dict(sample)))

    def measured(self, round_entry: Mapping[str, Any], rounds: int | None) -> None:
        self._send(RoundMeasured(dict(round_entry), rounds))

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        import json

        from hforch.utils.json_text import to_json

        brief = {name: value for name, value in record.items() if name != "plan"}  # the plan lists all inputs
        self._send(Finished(json.loads(to_json(brief)), directory))
