"""List the compute processes on an NVIDIA GPU, and separate this job's processes from others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any

from hforch.machine.nvml import Absent, ask
from hforch.machine.own_processes import command

HIDDEN = "the GPU's processes are not visible (a container hides them)"


def processes(handle: Any) -> list[Any]:
    """Return the compute processes on a GPU, including MPS clients, without graphics processes.

    Raises:
        Absent: the driver does not list them.
    """
    found = list(ask("nvmlDeviceGetComputeRunningProcesses", handle))
    with suppress(Absent):
        found += ask("nvmlDeviceGetMPSComputeRunningProcesses", handle)
    return found


def count_others(seen: Mapping[int, float | None], computing: Set[int], ours: Set[int]) -> tuple[int, int]:
    """Return the number of other processes on a GPU, and the number of those that may have been computing.

    In a container, NVML may list process ids of the host. If none of them is in `ours`, one is assumed to be this job.
    Others count as idle only if the driver reported this job as computing and not them.

    Args:
        seen: memory in MB by process id.
        computing: process ids with SM utilization above 0.
        ours: ids of this job's processes.
    """
    if not seen:
        return 0, 0
    if not ours & seen.keys():
        return len(seen) - 1, len(seen) - 1
    others = seen.keys() - ours
    return len(others), len(others & computing if ours & computing else others)


def own_processes() -> frozenset[int]:
    """Return the ids of this command's processes and its ancestors, which only wait for it."""
    import psutil

    own = {os.getpid(), os.getppid()}
    with suppress(psutil.Error):
        here = psutil.Process()
        own |= {one.pid for one in (*here.parents(), *here.children(recursive=True))}
        own |= {one.pid for one in psutil.Process(command()).children(recursive=True)}  # its other workers
    return frozenset(own)
