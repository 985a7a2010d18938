"""Processes that end without a word, and what the record of their job says of that."""

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
    """A worker, or the process that was to start it, has ended without a word.

    Args:
        code: as `subprocess.Popen.returncode`; None if it ended because its parent had, or if it cannot be known.
        last_output: the last lines that it printed before it had a log.
        of: which process it is.
        parent: how its parent ended.
    """

    def __init__(
        self,
        code: int | None,
        last_output: bytes = b"",
        of: str = "the process that held the model",
        parent: WorkerDied | None = None,
    ) -> None:
        super().__init__(code)
        self.code, self.last_output, self.of, self.parent = code, last_output, of, parent

    def __str__(self) -> str:
        """Return how it ended, as a sentence without its end."""
        if self.code is None:
            because = f" ({self.parent})" if self.parent else ""
            return f"{self.of} was stopped by the end of the process that started it{because}"
        if self.code >= 0:
            return f"{self.of} ended with exit code {self.code}"
        likely = ", most likely because memory ran out" if self.code == -signal.SIGKILL else ""
        return f"{self.of} was killed by {_name(-self.code)}{likely}"


def record_death(death: WorkerDied, directory: Path, logged: int, job_context: JobContext, watcher: Watcher) -> int:
    """Put how a job's process ended into the record that it had begun, and tell the watcher.

    Args:
        logged: the size that the job's log had before.

    Returns:
        the job's exit code.
    """
    from hforch.records.record_files import SCHEMA_VERSION, RecordWriter, read_record

    log = directory / LOG
    if death.last_output and size_of(log) <= logged:  # it had not opened its log yet
        with suppress(OSError), log.open("ab") as file:
            file.write(death.last_output)
    end = quoted_tail(log, logged)
    message = f"{death}; its log {log} ends with: {end}" if end else f"{death}; its log {log} does not say why"
    error = {"type": "WorkerDied", "message": message}
    try:
        record = read_record(directory)
    except (OSError, ValueError):
        record = {"schema_version": SCHEMA_VERSION, **job_context.invocation()}
    record |= {"status": "failed", "exit_code": EXIT_FAILED, "error": error}
    with RecordWriter(directory) as writer:
        writer.write(record)
    watcher.finished(record, str(directory))
    return EXIT_FAILED


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one without a name, such as a real-time signal
        return f"signal {number}"
