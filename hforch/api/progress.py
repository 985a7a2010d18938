"""A progress bar for the Python API: tqdm's, which fits terminals and notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hforch.api.messages import Began, Message, Sampled, Staged
from hforch.utils.notebook import in_notebook
from hforch.utils.progress_bar import new_bar

GENERATING = "generate"


class NoBar:
    """A progress display that shows nothing."""

    def show(self, message: Message) -> None: ...


class Bar(NoBar):
    """A bar that counts samples and names the current stage."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def show(self, message: Message) -> None:
        if isinstance(message, Began):
            self._bar.reset(total=message.samples)
        elif isinstance(message, Staged):
            self._bar.set_description(message.text)
        elif isinstance(message, Sampled):
            self._bar.set_description(GENERATING, refresh=False)  # the stages before it, such as warm-up, have ended
            self._bar.update(1)


@contextmanager
def open_progress(requested: bool | None, is_shown: bool) -> Iterator[NoBar]:
    """Yield the progress display.

    Args:
        requested: whether to show a bar; None: only in notebooks.
        is_shown: whether the output of the command is printed, which then shows the progress.
    """
    if is_shown or not (in_notebook() if requested is None else requested):
        yield NoBar()
        return
    with new_bar(desc="hforch", unit=" samples") as bar:
        yield Bar(bar)
        bar.refresh()
