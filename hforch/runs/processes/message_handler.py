"""What a worker tells of a run, passed on to whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from hforch.runs.processes.messages import StageAdvanced, StageBegan, StageEnded, StageEvent, WatcherEvent

if TYPE_CHECKING:
    from hforch.runs.watcher import Watcher

AT_ONCE_S = 0.3  # what takes less than that need not be shown
IMPORT = -1  # the number of a stage that is the parent's own


class MessageHandler:
    """Passes on to a Watcher the events that `PipeWatcher` sends; when that cannot be written any more, to nobody.

    This process's own stdout takes all (`utils/std_streams.py`); that of somebody who calls hforch from Python may not.
    """

    def __init__(self, watcher: Watcher | None, importing: bool) -> None:
        from hforch.runs.watcher import NullWatcher

        self._watcher = watcher or NullWatcher()
        self._importing = importing
        self._stages: dict[int, tuple[ExitStack, Callable[[int], None]]] = {}

    def wait(self, pipe: Connection) -> None:
        """Wait for the child's next word; as long as it imports its libraries, show that, if it takes a while."""
        if self._importing and IMPORT not in self._stages and not pipe.poll(AT_ONCE_S):
            self.handle(StageBegan(IMPORT, "import", "the libraries of the backend"))
        pipe.poll(None)

    def imported(self) -> None:
        """The child has imported its libraries."""
        self._importing = False
        self.handle(StageEnded(IMPORT, True))

    def handle(self, event: StageEvent | WatcherEvent) -> None:
        try:
            self._handle(event)
        except OSError:
            from hforch.runs.watcher import NullWatcher

            self._watcher = NullWatcher()  # the run goes on: its record is still wanted

    def close(self) -> None:
        """Leave the stages that the child could not leave."""
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
