"""Manage the processes of one command: a fork server for each backend, and the workers that hold models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hforch.errors import EXIT_INTERRUPTED, HforchError, Mistake
from hforch.runs.processes import prestart
from hforch.runs.processes.crash import WorkerDied, record_death
from hforch.runs.processes.fork_safety import may_use
from hforch.runs.processes.fork_server import ForkServer, Worker
from hforch.runs.processes.messages import CheckJobs, JobOutcome, ListDevices, RepeatFirstBatch, RunJob
from hforch.runs.processes.worker_process import LOG
from hforch.utils.log_tail import size_of
from hforch.utils.redacted_output import redact_file

if TYPE_CHECKING:
    from hforch.config.schema import Job
    from hforch.machine.accelerators import Accelerator
    from hforch.runs.job_context import JobContext
    from hforch.runs.watcher import Watcher


Held = tuple[str, str]
"""The backend and the load key of the model that a worker holds."""


@dataclass
class Holder:
    """A worker that holds a model.

    Attributes:
        has_scored: whether its last job computed scores; its engine may then hold memory that other jobs do not need.
    """

    worker: Worker
    has_scored: bool = False


class WorkerPool:
    """The processes of one command.

    Attributes:
        keeps_all: whether models stay loaded side by side, each in its own worker; otherwise a worker is stopped before
            another model is loaded.
    """

    def __init__(self) -> None:
        self._fork_servers: dict[str, ForkServer] = {}
        self._holders: dict[Held, Holder] = {}
        self.keeps_all = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, backend: str) -> None:
        """Start importing the libraries of a backend, unless this has already been done."""
        self._fork_server(backend)

    def check(
        self, backend: str, jobs: Sequence[Job], key: str = "", watcher: Watcher | None = None
    ) -> list[list[Mistake]]:
        """Return, for each job, the errors that prevent it from running on this machine.

        Args:
            backend: the name of the backend.
            jobs: the jobs to check, all of this backend.
            key: the load key if all jobs to be run have the same one; the worker that checks them then also runs them.
            watcher: receives the progress of imports.

        Raises:
            WorkerDied: the check crashed.
        """
        if key:
            self._take(jobs[0], key, measures=True)
        found: list[list[Mistake]] = self._ask(backend, CheckJobs(jobs), watcher)
        return found

    def devices(self, backend: str, jobs: Sequence[Job]) -> list[Accelerator]:
        """Return the accelerators that jobs of one backend may use, with their free memory.

        Raises:
            WorkerDied: querying the devices crashed.
        """
        found: list[Accelerator] = self._ask(backend, ListDevices(jobs))
        return found

    def run(self, job: Job, directory: Path, job_context: JobContext, watcher: Watcher, key: str = "") -> int:
        """Run a job in the worker that holds its model, or in a new one; see `runner.run_job`.

        Args:
            job: the job.
            directory: the directory for its record.
            job_context: the origin of the job's configuration.
            watcher: receives progress and results.
            key: the job's load key, if other jobs may have the same one.
        """
        directory.mkdir(parents=True, exist_ok=True)
        logged = size_of(directory / LOG)  # the log of an earlier attempt or part
        held, part = (job.backend.name, key), job_context.part
        try:
            holder = self._take(job, key, measures=part is None or part.measures)
            worker, request = holder.worker, RunJob(job, directory, job_context, str(Path.cwd()))
            outcome: JobOutcome = worker.ask(request, watcher=watcher)
        except WorkerDied as death:
            self._forget(held)
            return record_death(death, directory, logged, job_context, watcher)
        except HforchError:
            self._forget(held)
            raise
        except KeyboardInterrupt:
            self._forget(held)
            return EXIT_INTERRUPTED
        finally:
            redact_file(directory / LOG)
        if outcome.result == EXIT_INTERRUPTED and not worker.interrupted:  # its fork server was killed
            self._forget(held)
            orphaned = WorkerDied(None, parent=self._fork_servers[job.backend.name].death())
            return record_death(orphaned, directory, logged, job_context, watcher)
        holder.has_scored = job.scoring.is_requested and (part is None or part.is_last)
        if not outcome.has_model:
            self._stop(held)
        if isinstance(outcome.result, HforchError):
            raise outcome.result
        return outcome.result

    def again(self, job: Job, key: str) -> tuple[float, float] | None:
        """Time the first batch of a loaded model again; return its first and its new duration in seconds, or None.

        Args:
            job: a job with this model.
            key: its load key.
        """
        holder = self._holders.get((job.backend.name, key))
        if holder is None:
            return None
        try:
            seconds: tuple[float, float] | None = holder.worker.ask(RepeatFirstBatch())
            return seconds
        except WorkerDied:
            self._forget((job.backend.name, key))
            return None

    def free(self, job: Job | None = None, key: str = "") -> None:
        """Stop the worker that holds the model of a job, or all workers, and free their memory."""
        for held in list(self._holders) if job is None else [(job.backend.name, key)]:
            self._stop(held)

    def close(self) -> None:
        self.free()
        for fork_server in self._fork_servers.values():
            fork_server.discard()
        self._fork_servers.clear()

    def _ask(self, backend: str, request: CheckJobs | ListDevices, watcher: Watcher | None = None) -> Any:
        """Send a request to the current worker if it was started for this backend, else to a temporary one.

        A temporary worker exits after its reply, which frees the accelerators that it has initialized.
        """
        held = next((one for one in self._holders if one[0] == backend), None)
        if held is not None:
            try:
                return self._holders[held].worker.ask(request, watcher=watcher)
            except BaseException:
                self._forget(held)
                raise
        worker = self._fork_server(backend).start_worker(any(map(may_use, request.jobs)))
        try:
            return worker.ask(request, watcher=watcher)
        finally:
            worker.close()

    def _take(self, job: Job, key: str, measures: bool) -> Holder:
        """Return the worker that holds the model of a job, or a new one.

        Args:
            measures: whether the memory of the job is measured; a worker whose model has computed scores is then
                replaced, since its engine may hold memory that the job does not need.
        """
        held = (job.backend.name, key)
        fork_server = self._fork_server(job.backend.name)
        if held in self._holders and self._holders[held].has_scored and measures:
            self._stop(held)
        if held not in self._holders:
            if not self.keeps_all:
                self.free()
            self._holders[held] = Holder(fork_server.start_worker(may_use(job)))
        return self._holders[held]

    def _fork_server(self, backend: str) -> ForkServer:
        fork_server = self._fork_servers.get(backend) or prestart.take(backend)
        if fork_server is not None and not fork_server.suits(backend):
            self.free()
            fork_server.discard()
            fork_server = None
        self._fork_servers[backend] = fork_server or ForkServer(backend)
        return self._fork_servers[backend]

    def _stop(self, held: Held) -> None:
        """Stop a worker, which frees its model."""
        if held in self._holders:
            self._holders[held].worker.close()
            self._forget(held)

    def _forget(self, held: Held) -> None:
        self._holders.pop(held, None)
