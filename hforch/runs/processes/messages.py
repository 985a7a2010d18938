"""What a command, its fork servers and their workers tell each other: each message is a type, pickled and sent whole.

Requests go down: to a fork server, and to a worker, which handles one at a time and ends it with an `Outcome`. Events
come up from a worker meanwhile: how it starts, and what `runs/watcher.py` shows of a run.
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
    """Start a worker; the worker's end of a pipe follows. It answers nothing.

    Attributes:
        uses_accelerator: whether it will run jobs that may use one.
    """

    uses_accelerator: bool


class ReapWorker(NamedTuple):
    """Wait until a worker has ended; the answer is a `WorkerEnd`."""

    pid: int


class ListInitialized(NamedTuple):
    """Name the accelerators that importing the libraries has initialized; the answer is a list of names."""


ServerRequest = StartWorker | ReapWorker | ListInitialized


class WorkerEnd(NamedTuple):
    """How a worker ended.

    Attributes:
        code: as `subprocess.Popen.returncode`.
        last_output: the end of what it printed before it had a log.
    """

    code: int
    last_output: bytes


# ---------------------------------------------------------------- to a worker
class RunJob(NamedTuple):
    """Run a job in a working directory; the outcome is a `JobOutcome`."""

    job: Job
    directory: Path
    job_context: JobContext
    working_directory: str


class CheckJobs(NamedTuple):
    """Say what this machine cannot do for each of some jobs; the outcome is a list of mistakes for each."""

    jobs: Sequence[Job]


class ListDevices(NamedTuple):
    """List the accelerators that some jobs are for; the outcome is a list of `Accelerator`."""

    jobs: Sequence[Job]


class RepeatFirstBatch(NamedTuple):
    """Measure the first batch again; the outcome is its seconds at first and now, or None."""


WorkerRequest = RunJob | CheckJobs | ListDevices | RepeatFirstBatch


class JobOutcome(NamedTuple):
    """How a job ended.

    Attributes:
        result: its exit code, or why it was not run.
        has_model: whether the worker still has a model that is good for another job.
    """

    result: int | HforchError
    has_model: bool


# ---------------------------------------------------------------- from a worker
class Started(NamedTuple):
    """The process of a worker exists; it imports its libraries."""

    pid: int


class Ready(NamedTuple):
    """A worker has its libraries, and handles requests from now on."""

    pid: int


class Refused(NamedTuple):
    """The worker could not be started."""

    reason: str


class Outcome(NamedTuple):
    """A request was handled."""

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


class Finished(NamedTuple):
    record: Mapping[str, Any]
    directory: str

    def show(self, watcher: Watcher) -> None:
        watcher.finished(self.record, self.directory)


StageEvent = StageBegan | StageAdvanced | StageEnded
WatcherEvent = Note | Header | Question | Text | SampleCount | OneSample | Finished
WorkerEvent = Started | Ready | Refused | Outcome | StageEvent | WatcherEvent


# ---------------------------------------------------------------- on a pipe
def send(pipe: Connection, message: object) -> None:
    """Send a message.

    Raises:
        OSError: nobody receives it.
    """
    pipe.send_bytes(pickle.dumps(message))


def send_if_heard(pipe: Connection, message: object) -> None:
    """Send a message; without a receiver it is lost, and the record is what counts."""
    with suppress(OSError):
        send(pipe, message)


def receive(pipe: Connection) -> Any:
    """Wait for the next message.

    Raises:
        EOFError: the other side has closed the pipe.
    """
    return pickle.loads(pipe.recv_bytes())
