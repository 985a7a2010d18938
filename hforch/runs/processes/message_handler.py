"""Forward a worker's events to the watcher of its job."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from hforch.runs.processes.messages import StageAdvanced, StageBegan, StageEnded, StageEvent, WatcherEvent

if TYPE_CHECKING:
    from hforch.runs.watcher import Watcher

AT_ONCE_S = 0.3  # shorter imports are not shown
IMPORT = -1  # the number of the import stage, which the parent adds itself


class MessageHandler:
    """A handler that forwards the events of a `PipeWatcher` to a Watcher; after an OSError it drops them.

    The stdout of the command line never raises an OSError (`utils/std_streams.py`), but that of a Python caller may.
    """

    def __init__(self, watcher: Watcher | None, importing: bool) -> None:
        from hforch.runs.watcher import NullWatcher

        self._watcher = watcher or NullWatcher()
        self._importing = importing
        self._stages: dict[int, tuple[ExitStack, Callable[[int], None]]] = {}

    def wait(self, pipe: Connection) -> None:
        """Wait for the worker's next message; show an import stage if importing the libraries takes a while."""
        if self._importing and IMPORT not in self._stages and not pipe.poll(AT_ONCE_S):
            self.handle(StageBegan(IMPORT, "import", "backend libraries"))
        pipe.poll(None)

    def imported(self) -> None:
        """End the import stage."""
        self._importing = False
        self.handle(StageEnded(IMPORT, True))

    def handle(self, event: StageEvent | WatcherEvent) -> None:
        try:
            self._handle(event)
        except OSError:
            from hforch.runs.watcher import NullWatcher

            self._watcher = NullWatcher()  # the run continues, since its record is still useful

    def close(self) -> None:
        """End the stages that the worker has not ended."""
        for number in list(self._stages):
            self.handle(StageEnded(number, False))

    def _handle(self, event: StageEvent | WatcherEvent) -> None:
        match event:
            case StageBegan():
                stack = ExitStack()
                stage = self._watcher.stage(event.name, event.detail, event.total)
                self._stages[event.number] = (stack, stack.enter_context(stage))
            case StageAdvanced():
                if event.number in self._stages:
                    self._stages[event.number][1](event.units)
            case StageEnded():
                if event.number in self._stages:
                    stack, _ = self._stages.pop(event.number)
                    stopped = None if event.finished else KeyboardInterrupt()
                    stack.__exit__(type(stopped) if stopped else None, stopped, None)
            case _:
                event.show(self._watcher)
