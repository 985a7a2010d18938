"""Whose processes are on an NVIDIA card."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any

from hforch.runs.nvml import Absent, ask

HIDDEN = "the card's processes cannot be seen from here (a container hides them)"


def processes(handle: Any) -> list[Any]:
    """Return the compute processes on a card, those that share it through MPS included; graphics are not in it.

    Raises:
        Absent: it does not tell.
    """
    found = list(ask("nvmlDeviceGetComputeRunningProcesses", handle))
    with suppress(Absent):
        found += ask("nvmlDeviceGetMPSComputeRunningProcesses", handle)
    return found


def company(seen: Mapping[int, float | None], computing: Set[int], ours: Set[int]) -> tuple[int, int]:
    """Return how many other processes were on a card, and how many of those must be taken to have computed.

    In a container the ids may be those of the host, so that none is ours: then one of them is, whichever it is. A
    process counts as idle only if this one was seen computing, so that the driver is known to tell.
    """
    if not seen:
        return 0, 0
    if not ours & seen.keys():
        return len(seen) - 1, len(seen) - 1
    others = seen.keys() - ours
    return len(others), len(others & computing if ours & computing else others)


def own_processes() -> frozenset[int]:
    """Return the ids of this process, those that it came from, which wait for it, and those that it started."""
    import psutil

    own = {os.getpid(), os.getppid()}
    with suppress(psutil.Error):
        here = psutil.Process()
        own |= {one.pid for one in (*here.parents(), *here.children(recursive=True))}
    return frozenset(own)
