"""Messages between a command, its fork servers and their workers, pickled and sent over pipes.

The command sends requests to fork servers and workers. A worker handles one request at a time and replies with an
`Outcome`. Before that, it sends events: the steps of its startup, and the calls to the job's `Watcher`.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hforch.config.schema import Job
    from hforch.errors import HforchError
    from hforch.runs.job_context import JobContext
    from hforch.runs.watcher import Watcher


# ---------------------------------------------------------------- to a fork server
class StartWorker(NamedTuple):
    """A request to start a worker; the worker's end of a pipe follows. There is no reply.

    Attributes:
        uses_accelerator: whether its jobs may use an accelerator.
    """

    uses_accelerator: bool


class ReapWorker(NamedTuple):
    """A request to wait until a worker has exited; the reply is a `WorkerEnd`."""

    pid: int


class ListInitialized(NamedTuple):
    """A request for the accelerators that importing the libraries has initialized; the reply is a list of names."""


ServerRequest = StartWorker | ReapWorker | ListInitialized


class WorkerEnd(NamedTuple):
    """The exit of a worker.

    Attributes:
        code: its exit code, as `subprocess.Popen.returncode`.
        last_output: the end of its output before it had a log.
    """

    code: int
    last_output: bytes


# ---------------------------------------------------------------- to a worker
class RunJob(NamedTuple):
    """A request to run a job in a working directory; the outcome is a `JobOutcome`."""

    job: Job
    directory: Path
    job_context: JobContext
    working_directory: str


class CheckJobs(NamedTuple):
    """A request to check whether this machine can run jobs; the outcome is a list of errors for each job."""

    jobs: Sequence[Job]


class ListDevices(NamedTuple):
    """A request for the accelerators that jobs may use; the outcome is a list of `Accelerator`."""

    jobs: Sequence[Job]


class RepeatFirstBatch(NamedTuple):
    """A request to time the first batch again; the outcome is its first and its new duration in seconds, or None."""


WorkerRequest = RunJob | CheckJobs | ListDevices | RepeatFirstBatch


class JobOutcome(NamedTuple):
    """The outcome of a job.

    Attributes:
        result: its exit code, or the error that prevented it from running.
        has_model: whether the worker still holds a model that another job can use.
    """

    result: int | HforchError
    has_model: bool


# ---------------------------------------------------------------- from a worker
class Started(NamedTuple):
    """An event: the process of a spawned worker has started and is importing its libraries."""

    pid: int


class Ready(NamedTuple):
    """An event: a worker has imported its libraries and handles requests."""

    pid: int


class Refused(NamedTuple):
    """An event: the worker could not be started."""

    reason: str


class Outcome(NamedTuple):
    """The reply to a request, with its result."""

    value: Any


class StageBegan(NamedTuple):
    number: int
    name: str
    detail: str
    total: int | None = None


class StageAdvanced(NamedTuple):
    number: int
    units: int


class StageEnded(NamedTuple):
    number: int
    finished: bool


class Note(NamedTuple):
    text: str

    def show(self, watcher: Watcher) -> None:
        watcher.note(self.text)


class Header(NamedTuple):
    parts: Mapping[str, str]

    def show(self, watcher: Watcher) -> None:
        watcher.header(self.parts)


class Question(NamedTuple):
    item: Any

    def show(self, watcher: Watcher) -> None:
        watcher.question(self.item)


class Text(NamedTuple):
    piece: str

    def show(self, watcher: Watcher) -> None:
        watcher.text(self.piece)


class SampleCount(NamedTuple):
    total: int

    def show(self, watcher: Watcher) -> None:
        watcher.samples(self.total)


class OneSample(NamedTuple):
    sample: Mapping[str, Any]

    def show(self, watcher: Watcher) -> None:
        watcher.sample(self.sample)


class RoundMeasured(NamedTuple):
    round_entry: Mapping[str, Any]
    rounds: int | None

    def show(self, watcher: Watcher) -> None:
        watcher.measured(self.round_entry, self.rounds)


class Finished(NamedTuple):
    record: Mapping[str, Any]
    directory: str

    def show(self, watcher: Watcher) -> None:
        watcher.finished(self.record, self.directory)


StageEvent = StageBegan | StageAdvanced | StageEnded
WatcherEvent = Note | Header | Question | Text | SampleCount | OneSample | RoundMeasured | Finished
WorkerEvent = Started | Ready | Refused | Outcome | StageEvent | WatcherEvent


# ---------------------------------------------------------------- on a pipe
def send(pipe: Connection, message: object) -> None:
    """Send a message.

    Raises:
        OSError: the other side has closed the pipe.
    """
    pipe.send_bytes(pickle.dumps(message))


def send_if_heard(pipe: Connection, message: object) -> None:
    """Send a message; drop it if the other side has closed the pipe."""
    with suppress(OSError):
        send(pipe, message)


def receive(pipe: Connection) -> Any:
    """Wait for the next message.

    Raises:
        EOFError: the other side has closed the pipe.
    """
    return pickle.loads(pipe.recv_bytes())
