"""Run sweeps with a sweeper plugin, through Hydra, because the jobs are not known in advance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hforch.app.finish import worst_exit_code, write_report
from hforch.app.hydra_task import Invocation, Task
from hforch.config.config_dirs import ConfigDirs
from hforch.config.hydra_adapter.jobs import returned_codes
from hforch.errors import ConfigError, Mistake
from hforch.runs.output_dirs import clear, mistakes_if_used
from hforch.utils.redacted_output import redact_file

KEY = "hydra.sweep.dir"


def run_by_sweeper(
    hydra: Any,
    config_name: str,
    overrides: Sequence[str],
    config_dirs: ConfigDirs,
    invocation: Invocation,
    report: bool,
) -> int:
    """Run the jobs of the configured sweeper and return the exit code. For the arguments, see `run_jobs`.

    Raises:
        ConfigError: for a dry run, or if the directory contains answers of an earlier run.
    """
    from hydra.types import RunMode

    if invocation.dry_run:
        problem = "the jobs of this sweeper are not known before they run"
        raise ConfigError([Mistake("hydra.sweeper", problem, None, "remove --dry-run, or use Hydra's basic sweeper")])
    words = list(overrides)
    master = hydra.compose_config(config_name, words, RunMode.MULTIRUN, with_log_configuration=False)
    directory = Path(str(master.hydra.sweep.dir))
    if not invocation.resume:
        if not invocation.force and (mistakes := mistakes_if_used(directory, KEY)):
            raise ConfigError(mistakes)
        clear(directory)
    code = worst_exit_code(returned_codes(hydra.multirun(config_name, Task(config_dirs, invocation), words)))
    redact_file(directory / "multirun.yaml")  # written by the sweeper
    return write_report(report, directory, "auto", code)
