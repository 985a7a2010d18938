"""Choose a watcher by `runtime.display`."""

from __future__ import annotations

import sys
from typing import TextIO

from hforch.report.plain_watcher import JsonWatcher, PlainWatcher, QuietWatcher
from hforch.runs.watcher import Watcher


def open_watcher(display: str, stream: TextIO | None = None) -> Watcher:
    """The watcher that `runtime.display` names; `auto` is rich on a terminal and plain elsewhere.

    Args:
        stream: where it writes; stdout if None.
    """
    stream = stream or sys.stdout
    if display == "auto":
        display = "rich" if stream.isatty() else "plain"
    if display == "rich":
        from hforch.report.rich_watcher import RichWatcher

        return RichWatcher(stream)
    return {"plain": lambda: PlainWatcher(stream), "json": JsonWatcher, "none": QuietWatcher}[display]()
