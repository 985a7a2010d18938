"""The two ways in which jobs are run: one alone, or several as a sweep."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunMode:
    """What differs between a single run and a sweep; all else is the same.

    Attributes:
        name: in messages.
        hydra_mode: the value of `hydra.mode`.
        directory: the setting that names the directory of all jobs together.
        job_directory: the setting that names the directory of one job.
        has_summary: whether the jobs are described as a whole: in sweep.json, with the machine's drift, and compared at
            the end. Without it the record of the only job says all.
    """

    name: str
    hydra_mode: str
    directory: str
    job_directory: str
    has_summary: bool


SINGLE_RUN = RunMode("run", "RUN", "hydra.run.dir", "hydra.run.dir", has_summary=False)
MULTIRUN = RunMode("sweep", "MULTIRUN", "hydra.sweep.dir", "hydra.sweep.subdir", has_summary=True)
