"""Sweeps of another sweeper than Hydra's own: its jobs are not known before they are run, so Hydra runs them itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hforch.app.ending import worst_exit_code, write_report
from hforch.app.task import Asked, Task
from hforch.config.hydra_adapter.jobs import returned_codes
from hforch.config.places import Places
from hforch.errors import ConfigError, Mistake
from hforch.redaction import redact_file
from hforch.runs.used import clear, used

KEY = "hydra.sweep.dir"


def run_by_sweeper(
    hydra: Any, config_name: str, overrides: Sequence[str], places: Places, asked: Asked, report: bool
) -> int:
    """Let the chosen sweeper run its jobs; return the exit code. The arguments are those of `run_jobs`.

    Raises:
        ConfigError: it is a dry run, or the directory holds answers.
    """
    from hydra.types import RunMode

    if asked.dry_run:
        problem = "the jobs of this sweeper are not known before they are run"
        raise ConfigError([Mistake("hydra.sweeper", problem, None, "leave --dry-run out, or use Hydra's own sweeper")])
    words = list(overrides)
    master = hydra.compose_config(config_name, words, RunMode.MULTIRUN, with_log_configuration=False)
    directory = Path(str(master.hydra.sweep.dir))
    if not asked.resume:
        if not asked.force and (mistakes := used(directory, KEY)):
            raise ConfigError(mistakes)
        clear(directory)
    code = worst_exit_code(returned_codes(hydra.multirun(config_name, Task(places, asked), words)))
    redact_file(directory / "multirun.yaml")  # which a sweeper saves by itself
    return write_report(report, directory, "auto", code)
