"""The arguments of a command, and the task that Hydra calls for each job."""

from __future__ import annotations

import errno
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.config.config_dirs import ConfigDirs
from hforch.config.hydra_adapter.session import settings_of_job
from hforch.errors import EXIT_FAILED, EXIT_INTERRUPTED, ConfigError, HforchError, full_errors, message_of
from hforch.utils.redaction import redacted_override, remembered
from hforch.utils.system_limits import limit_reached

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hforch.config.locator import Locator
    from hforch.runs import JobContext


DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Invocation:
    """The arguments of a command; records store some of them.

    Attributes:
        overrides: the overrides, as given on the command line.
        resume: resume the run in the directory.
        fingerprint: the expected fingerprint of the weights; other weights are rejected.
        dry_run: list the jobs without running them.
        skip_damaged: when resuming, treat invalid lines of samples.jsonl as missing.
        force: overwrite the files of an earlier run in the directory.
    """

    overrides: tuple[str, ...]
    recipe: str | None
    config_dir: str | None
    config_name: str | None
    resume: bool = False
    fingerprint: str | None = None
    dry_run: bool = False
    force: bool = False
    skip_damaged: bool = False

    def job_context(self, overrides: tuple[str, ...], locate: Locator, **more: Any) -> JobContext:
        """Return the context of a job of this command.

        Args:
            overrides: the overrides of this job.
            locate: a function that adds to errors where their values were set.
            more: other fields of `JobContext`.
        """
        from hforch.runs import JobContext

        return JobContext(
            overrides=overrides,
            recipe=self.recipe,
            locate=locate,
            config_dir=self.config_dir,
            config_name=self.config_name,
            resume=self.resume,
            skip_damaged=self.skip_damaged,
            credentials=remembered(),
            **more,
        )

    def record(self) -> dict[str, Any]:
        names = ("recipe", "config_dir", "config_name")
        overrides = [redacted_override(one) for one in self.overrides]
        return {
            "asked": {"overrides": overrides, **{name: getattr(self, name) for name in names}},
            "cwd": str(Path.cwd()),
        }


@dataclass(frozen=True)
class Task:
    """The function that Hydra calls for each job, in this process or in a process of a launcher."""

    config_dirs: ConfigDirs
    invocation: Invocation
    parallel: bool = False

    def __call__(self, cfg: DictConfig) -> int:
        try:
            code = self._run(cfg)
        except HforchError as error:
            if full_errors():
                raise
            print(message_of(error), file=sys.stderr)
            return error.exit_code
        except OSError as error:
            if full_errors():
                raise
            print(write_error(error, self.invocation.resume), file=sys.stderr)
            return EXIT_FAILED
        except KeyboardInterrupt:
            settings = settings_of_job()
            self._interrupted(Path(settings.runtime.output_dir), unresolved(settings.overrides.task))
            raise
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt("shown")  # stops the sweep; an argument means that the message was already printed
        return code

    def _interrupted(self, directory: Path, overrides: tuple[str, ...]) -> None:
        """Write a record for a run that was interrupted before it started."""
        from hforch.config.locator import Locator
        from hforch.records.record_writer import begin_interrupted

        with suppress(OSError, HforchError):
            job_context = self.invocation.job_context(overrides, Locator(overrides, self.config_dirs))
            begin_interrupted(directory, job_context.record())

    def _run(self, cfg: DictConfig) -> int:
        from hforch.config.compose import job_from_config
        from hforch.config.locator import Locator
        from hforch.records.directory_lock import is_locked
        from hforch.report.display import open_watcher
        from hforch.runs import run
        from hforch.runs.tracking import tracked_run
        from hforch.trackers.registry import mistakes as tracker_mistakes

        settings = settings_of_job()
        directory = Path(settings.runtime.output_dir)
        overrides = unresolved(settings.overrides.task)
        job, from_env = job_from_config(cfg)
        job_context = self.invocation.job_context(
            overrides,
            Locator(overrides, self.config_dirs),
            logging=job_logging(settings),
            parallel=self.parallel,
            fingerprint=self.invocation.fingerprint,
            is_locked=is_locked(directory),
            from_env=from_env,
            given_paths=self.config_dirs.given_paths,
        )
        if found := tracker_mistakes(job.tracker):
            raise ConfigError(job_context.locate(found))
        with tracked_run(job, directory, job_context, open_watcher(job.runtime.display)) as watcher:
            return run(job, directory, job_context, watcher)


def unresolved(overrides: Any) -> tuple[str, ...]:
    """Return the overrides without resolving their interpolations."""
    from omegaconf import OmegaConf

    texts: Any = OmegaConf.to_container(overrides, resolve=False)
    return tuple(map(str, texts))


def job_logging(settings: Any) -> dict[str, Any] | None:
    """Return Hydra's job logging, including hydra.verbose, for `dictConfig`; None if it is disabled."""
    from omegaconf import OmegaConf

    config = OmegaConf.to_container(settings.job_logging, resolve=True) if settings.job_logging is not None else None
    if not isinstance(config, dict) or not config.get("root"):
        return None
    verbose = settings.verbose
    names = [] if isinstance(verbose, bool) else [verbose] if isinstance(verbose, str) else list(verbose)
    if verbose is True:
        config["root"]["level"] = "DEBUG"
    loggers: Mapping[str, Any] = config.get("loggers", {})
    return {**config, "loggers": {**loggers, **{name: {"level": "DEBUG"} for name in names}}}


def write_error(error: OSError, is_resumed: bool) -> HforchError:
    """Convert an OSError of a run to an error about writing the run directory (inputs raise other errors)."""
    elsewhere = (
        "set hydra.run.dir=DIR for a run, hydra.sweep.dir=DIR for a sweep, or pass --output DIR to hforch verify"
    )
    hint = "" if is_resumed else f"\n    {elsewhere}"
    if told := limit_reached(error):
        return HforchError(f"{told}{hint if error.errno in DISK_ERRORS else ''}")
    place = f"{error.filename}: " if error.filename else ""
    reason = (error.strerror or str(error)).lower()
    return HforchError(f"cannot write to the run directory: {place}{reason}{hint}")
