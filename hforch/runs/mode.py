"""Run modes: a single run, or a sweep of several jobs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunMode:
    """The differences between a single run and a sweep.

    Attributes:
        name: the name in messages.
        hydra_mode: the value of `hydra.mode`.
        directory: the setting that names the common directory of all jobs.
        job_directory: the setting that names the directory of one job.
        has_summary: whether all jobs are summarized, with sweep.json, changes of machine speed, and a comparison at
            the end. A single run has only its record.
    """

    name: str
    hydra_mode: str
    directory: str
    job_directory: str
    has_summary: bool


SINGLE_RUN = RunMode("run", "RUN", "hydra.run.dir", "hydra.run.dir", has_summary=False)
MULTIRUN = RunMode("sweep", "MULTIRUN", "hydra.sweep.dir", "hydra.sweep.subdir", has_summary=True)
