"""Record and describe unexpected exits of worker processes."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hforch.errors import EXIT_FAILED
from hforch.runs.processes.worker_process import LOG
from hforch.utils.log_tail import quoted_tail, size_of

if TYPE_CHECKING:
    from hforch.runs.job_context import JobContext
    from hforch.runs.watcher import Watcher


class WorkerDied(Exception):
    """An unexpected exit of a worker or its fork server.

    Args:
        code: the exit code, as `subprocess.Popen.returncode`; None if it exited with its parent, or if unknown.
        last_output: the last lines of its output before it had a log.
        of: a description of the process.
        parent: the exit of its parent process, if known.
    """

    def __init__(
        self,
        code: int | None,
        last_output: bytes = b"",
        of: str = "the worker process",
        parent: WorkerDied | None = None,
    ) -> None:
        super().__init__(code)
        self.code, self.last_output, self.of, self.parent = code, last_output, of, parent

    def __str__(self) -> str:
        """Return how the process exited, as a sentence without a period."""
        if self.code is None:
            because = f" ({self.parent})" if self.parent else ""
            return f"{self.of} was stopped because its parent process exited{because}"
        if self.code >= 0:
            return f"{self.of} exited with code {self.code}"
        likely = ", most likely because memory ran out" if self.code == -signal.SIGKILL else ""
        return f"{self.of} was killed by {_name(-self.code)}{likely}"


def record_death(death: WorkerDied, directory: Path, logged: int, job_context: JobContext, watcher: Watcher) -> int:
    """Record the unexpected exit of a job's process in the job's record, and notify the watcher.

    Args:
        death: how the process exited.
        directory: the directory of the job.
        logged: the size of the job's log before the job.
        job_context: the origin of the job, for a record if the process has not written one.
        watcher: receives the record.

    Returns:
        the job's exit code.
    """
    from hforch.records.directory_lock import locked
    from hforch.records.fields import Error
    from hforch.records.record_writer import write_failure

    log = directory / LOG
    if death.last_output and size_of(log) <= logged:  # the process had not opened its log yet
        with suppress(OSError), log.open("ab") as file:
            file.write(death.last_output)
    end = quoted_tail(log, logged)
    message = f"{death}; its log {log} ends with: {end}" if end else f"{death}; its log {log} does not show why"
    with locked(directory):
        error = Error(type="WorkerDied", message=message)
        record = write_failure(directory, error, EXIT_FAILED, begun=job_context.record())
    watcher.finished(record, str(directory))
    return EXIT_FAILED


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a signal without a name, such as a real-time signal
        return f"signal {number}"
