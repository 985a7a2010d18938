"""The processes of one command: a fork server for each backend, and the one worker that holds a model."""

from __future__ import annotations

from collections.abc import Sequence
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


class WorkerPool:
    """The processes of one command: a fork server for each backend, and the one worker that holds a model."""

    def __init__(self) -> None:
        self._fork_servers: dict[str, ForkServer] = {}
        self._worker: Worker | None = None
        self._holds: tuple[str, str] | None = None
        self._has_scored = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, backend: str) -> None:
        """Let the libraries of a backend be imported, if they are not yet."""
        self._fork_server(backend)

    def check(
        self, backend: str, jobs: Sequence[Job], key: str = "", watcher: Watcher | None = None
    ) -> list[list[Mistake]]:
        """What this machine cannot do for each of the jobs, all on one backend.

        Args:
            key: the load key, if no job that is to be run has another one: the worker that looks runs them, too.
            watcher: whom to tell that the libraries are imported.

        Raises:
            WorkerDied: looking at it crashed.
        """
        if key:
            self._take(jobs[0], key)
        found: list[list[Mistake]] = self._ask(backend, CheckJobs(jobs), watcher)
        return found

    def devices(self, backend: str, jobs: Sequence[Job]) -> list[Accelerator]:
        """Return the accelerators that some jobs, all on one backend, are for, with what is free of them now.

        Raises:
            WorkerDied: looking at them crashed.
        """
        found: list[Accelerator] = self._ask(backend, ListDevices(jobs))
        return found

    def run(self, job: Job, directory: Path, job_context: JobContext, watcher: Watcher, key: str = "") -> int:
        """Run a job in a process of its own, or in the one that holds its model; see `runner.run_job`.

        Args:
            key: its load key, if there may be more jobs with the same one.
        """
        directory.mkdir(parents=True, exist_ok=True)
        logged = size_of(directory / LOG)  # by an earlier attempt
        try:
            worker = self._take(job, key)
            request = RunJob(job, directory, job_context, str(Path.cwd()))
            outcome: JobOutcome = worker.ask(request, watcher=watcher)
        except WorkerDied as death:
            self._forget()
            return record_death(death, directory, logged, job_context, watcher)
        except HforchError:
            self._forget()
            raise
        except KeyboardInterrupt:
            self._forget()
            return EXIT_INTERRUPTED
        finally:
            redact_file(directory / LOG)
        if outcome.result == EXIT_INTERRUPTED and not worker.interrupted:  # its fork server was killed
            self._forget()
            orphaned = WorkerDied(None, parent=self._fork_servers[job.backend.name].death())
            return record_death(orphaned, directory, logged, job_context, watcher)
        self._has_scored = job.scoring.is_requested
        if not outcome.has_model:
            self.free()
        if isinstance(outcome.result, HforchError):
            raise outcome.result
        return outcome.result

    def again(self) -> tuple[float, float] | None:
        """The seconds of the first batch that the model in memory answered, at first and once more now."""
        if self._worker is None:
            return None
        try:
            seconds: tuple[float, float] | None = self._worker.ask(RepeatFirstBatch())
            return seconds
        except WorkerDied:
            self._forget()
            return None

    def free(self) -> None:
        """End the worker, and its model with it."""
        if self._worker is not None:
            self._worker.close()
        self._forget()

    def close(self) -> None:
        self.free()
        for fork_server in self._fork_servers.values():
            fork_server.discard()
        self._fork_servers.clear()

    def _ask(self, backend: str, request: CheckJobs | ListDevices, watcher: Watcher | None = None) -> Any:
        """Ask the worker that is kept for jobs about them.

        If there is none, one is asked that ends with its answer, so that what it has initialized is free again.
        """
        if self._worker is not None and self._holds is not None and self._holds[0] == backend:
            try:
                return self._worker.ask(request, watcher=watcher)
            except BaseException:
                self._forget()
                raise
        worker = self._fork_server(backend).start_worker(any(map(may_use, request.jobs)))
        try:
            return worker.ask(request, watcher=watcher)
        finally:
            worker.close()

    def _take(self, job: Job, key: str) -> Worker:
        backend = job.backend.name
        fork_server = self._fork_server(backend)
        if self._worker is None or self._holds != (backend, key) or self._has_scored:
            self.free()  # what reading given tokens has made its engine keep is not the next job's memory
            self._worker, self._holds = fork_server.start_worker(may_use(job)), (backend, key)
        return self._worker

    def _fork_server(self, backend: str) -> ForkServer:
        fork_server = self._fork_servers.get(backend) or prestart.take(backend)
        if fork_server is not None and not fork_server.suits(backend):
            self.free()
            fork_server.discard()
            fork_server = None
        self._fork_servers[backend] = fork_server or ForkServer(backend)
        return self._fork_servers[backend]

    def _forget(self) -> None:
        self._worker = self._holds = None
