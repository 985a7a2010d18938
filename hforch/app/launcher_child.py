"""Run the jobs of a sweep in the processes of a launcher plugin (`launcher_parent.py` is the parent's side).

A process keeps the worker process with the loaded model between jobs. Jobs are ordered by load key, so each process
loads a model once. Records are the same as with the basic launcher, except that they also state that other jobs ran in
parallel.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.app.hydra_redaction import redact_what_hydra_writes, refuse_credentials_in_path
from hforch.app.hydra_task import Invocation, job_logging, unresolved
from hforch.app.standard_input import reads_stdin, resumed
from hforch.auto_prompt import settled_option
from hforch.config.config_dirs import ConfigDirs
from hforch.config.credentials import FromEnv
from hforch.config.hydra_adapter.session import settings_of_job
from hforch.config.locator import Locator
from hforch.config.schema import Job
from hforch.errors import HforchError, message_of
from hforch.records.sweep_file import read_sweep
from hforch.runs import run
from hforch.runs.job_context import JobContext
from hforch.runs.model_slot import ModelSlot
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.watcher import NullWatcher
from hforch.utils.redaction import remembered

if TYPE_CHECKING:
    from omegaconf import DictConfig

redact_what_hydra_writes()  # processes of launchers import this module before Hydra writes anything

# The state of a process of a launcher. The module is imported, not pickled, so its state survives between jobs.
_kept: list[tuple[WorkerPool, ModelSlot]] = []


@dataclass(frozen=True)
class LauncherTask:
    """The function that a process of a launcher calls for each job. It reads the job from sweep.json.

    Attributes:
        parallel: whether other jobs run at the same time.
        keeps_processes: whether the launcher reuses processes, which then keep the loaded model.
        fingerprints: the expected fingerprints of the weights, by load key.
    """

    directory: Path
    config_dirs: ConfigDirs
    invocation: Invocation
    parallel: bool
    keeps_processes: bool
    fingerprints: Mapping[str, str]

    def __call__(self, cfg: DictConfig) -> int:
        settings = settings_of_job()
        output = Path(settings.runtime.output_dir)
        name = str(output.relative_to(self.directory))
        jobs = read_sweep(self.directory)["jobs"]
        entry = next(one for one in jobs if one["directory"] == name)
        baseline = next((one["directory"] for one in jobs if one["number"] == entry["baseline"]), None)
        overrides = unresolved(settings.overrides.task)
        job_context = self.invocation.job_context(
            overrides,
            Locator(overrides, self.config_dirs),
            logging=job_logging(settings),
            parallel=self.parallel,
            given_paths=self.config_dirs.given_paths,
            fingerprint=self.fingerprints.get(entry["load_key"]),
            baseline=None if baseline is None else self.directory / baseline,
        )
        try:
            job, from_env = _job(cfg, entry)
            refuse_credentials_in_path(output, "hydra.sweep.subdir")
            option = settled_option(job) if cfg.prompt.kind == "auto" else None
            job_context = replace(job_context, from_env=from_env, credentials=remembered(), auto_prompt=option)
            if not _kept:
                _kept.append((WorkerPool(), ModelSlot()))
            workers, model_slot = _kept[0]
            try:
                return run(job, output, job_context, NullWatcher(), workers, entry["load_key"], model_slot)
            finally:
                if not self.keeps_processes:
                    _kept.clear()
                    workers.close()
        except HforchError as error:
            return failed_before(output, job_context, error)


def _job(cfg: DictConfig, entry: Mapping[str, Any]) -> tuple[Job, FromEnv]:
    """Return the job from sweep.json, or from the composed config if sweep.json has redacted values."""
    if not (entry.get("from_env") or entry.get("redacted")):
        return Job.model_validate(entry["job"]), {}
    from hforch.config.compose import job_from_config

    job, from_env = job_from_config(cfg)
    if reads_stdin(job):
        job = resumed(job, entry)
    threads = entry["job"]["runtime"]["threads"]
    if isinstance(threads, str):  # an environment variable
        return job, from_env
    return job.model_copy(update={"runtime": job.runtime.model_copy(update={"threads": threads})}), from_env


def failed_before(directory: Path, job_context: JobContext, error: HforchError) -> int:
    """Write a record with the error for a job that could not start, and return the exit code."""
    from hforch.records.fields import Error
    from hforch.records.record_writer import write_failure

    failure = Error(type=type(error).__name__, message=message_of(error))
    with suppress(OSError):
        write_failure(directory, failure, error.exit_code, begun=job_context.record())
    return error.exit_code
