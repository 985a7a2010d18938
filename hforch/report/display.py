"""Create the watcher for `runtime.display`."""

from __future__ import annotations

import sys
from typing import TextIO

from hforch.report.plain_watcher import JsonWatcher, PlainWatcher, QuietWatcher
from hforch.runs.watcher import Watcher


def open_watcher(display: str, stream: TextIO | None = None, in_sweep: bool = False) -> Watcher:
    """Return the watcher for `runtime.display`; `auto` is `rich` on a terminal, else `plain`.

    Args:
        stream: the output stream; stdout if None.
        in_sweep: whether it shows the jobs of a sweep; as JSON, each record is then a line.
    """
    stream = stream or sys.stdout
    if display == "auto":
        display = "rich" if stream.isatty() else "plain"
    if display == "rich":
        from hforch.report.rich_watcher import RichWatcher

        return RichWatcher(stream)
    return {
        "plain": lambda: PlainWatcher(stream),
        "json": lambda: JsonWatcher(None if in_sweep else 2),
        "none": QuietWatcher,
    }[display]()
