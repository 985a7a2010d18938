"""Run a command line in a separate process, and report its events to the caller of the Python API.

Running jobs changes the state of a process (logging, signals, Hydra's globals) and forks it, which is unsafe in a
process with threads. The caller's process is therefore never the one that runs jobs.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from hforch.api.messages import Began, Ended, Message, Raised, Sampled, Staged
from hforch.app.hydra_app import run_app
from hforch.errors import EXIT_INTERRUPTED, ConfigError, HforchError, Mistake, full_errors
from hforch.runs.mode import RunMode
from hforch.runs.planned_job import PlannedJob
from hforch.runs.sweep_view import SweepView
from hforch.runs.watcher import Watcher
from hforch.utils import std_streams, telemetry
from hforch.utils.internal_errors import internal_error
from hforch.utils.process_lifetime import exit_with_parent
from hforch.utils.progress import Advance
from hforch.utils.redaction import redacted


def main(words: Sequence[str], recipe: str | None, sweeps: bool, pipe: int, parent: int) -> None:
    """Run the command line, and send its events and its outcome.

    Args:
        words: the arguments of `hforch`.
        recipe: the file of a recipe.
        sweeps: whether the command must be a sweep; otherwise, it must be a single run.
        pipe: the file descriptor of the pipe to the caller.
        parent: the process id of the caller.
    """
    exit_with_parent(parent)
    os.set_inheritable(pipe, False)
    telemetry.set_environment()
    std_streams.prepare()
    connection = Connection(pipe)
    outcome: Message
    try:
        listener = Reporter(connection, sweeps).listen
        outcome = Ended(run_app(words, recipe=Path(recipe) if recipe else None, listener=listener))
    except KeyboardInterrupt:
        outcome = Ended(EXIT_INTERRUPTED)
    except HforchError as error:
        outcome = Raised(error)
    except Exception as error:
        trace = f"\n\n{redacted(traceback.format_exc())}" if full_errors() else ""
        outcome = Raised(HforchError(f"{internal_error(error)}{trace}"))
    connection.send(outcome)


class Reporter:
    """Sends the events of a run or sweep.

    Args:
        sweeps: whether a sweep is expected.
    """

    def __init__(self, connection: Connection, sweeps: bool) -> None:
        self._connection, self._sweeps = connection, sweeps

    def listen(self, view: SweepView, mode: RunMode, directory: Path) -> SweepView:
        """Return a view that also sends the events.

        Raises:
            ConfigError: a single run was expected, and this is a sweep, or the reverse.
        """
        if mode.has_summary != self._sweeps:
            other = "sweep" if mode.has_summary else "run"
            raise ConfigError([Mistake("", f"the configuration describes a {mode.name}", None, f"use hforch.{other}")])
        return ReportedView(view, directory, self._connection)


class ReportedView:
    """A view of a run or sweep that also sends its events."""

    def __init__(self, view: SweepView, directory: Path, connection: Connection) -> None:
        self._view, self._directory, self._connection = view, directory, connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def begin(self, jobs: Sequence[PlannedJob], left: Sequence[PlannedJob]) -> None:
        self._view.begin(jobs, left)
        self._connection.send(Began(self._directory, sum(one.samples for one in left)))

    def job(self, planned: PlannedJob) -> Watcher:
        watcher: Any = ReportedWatcher(self._view.job(planned), self._connection)
        return cast(Watcher, watcher)


class ReportedWatcher:
    """A watcher that also sends the start of stages, and samples."""

    def __init__(self, watcher: Watcher, connection: Connection) -> None:
        self._watcher, self._connection = watcher, connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watcher, name)

    @contextmanager
    def stage(self, name: str, detail: str, total: int | None = None) -> Iterator[Advance]:
        self._connection.send(Staged(f"{name}: {detail}"))
        with self._watcher.stage(name, detail, total) as advance:
            yield advance

    def sample(self, sample: Any) -> None:
        self._watcher.sample(sample)
        self._connection.send(Sampled())
