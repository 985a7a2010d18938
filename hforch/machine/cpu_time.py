"""Divide the time of the usable CPUs between this command, other processes, and other virtual machines."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hforch.machine.own_processes import command, cpu_ticks

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")  # unit of the times in /proc
SHORTEST_TICKS = 10
"""Shorter measurements have no shares: the times of each process and CPU are rounded to a tick."""


@dataclass(frozen=True)
class CpuTimes:
    """CPU times since boot, in ticks, summed over the CPUs that this process may use.

    Attributes:
        busy: time in which they ran processes or the kernel.
        steal: time in which the host did not let this virtual machine run.
        total: all of their time.
        cpus: how many there are.
        own: CPU time of this command's processes.
    """

    busy: int
    steal: int
    total: int
    cpus: int
    own: int


def cpu_times(root: Path) -> CpuTimes:
    """Read the times of the CPUs and of this command's processes.

    Only the CPUs that this process may use are counted, so that other jobs of a shared node, which use other CPUs, do
    not appear as a disturbance.

    Args:
        root: the directory that contains `proc`.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file has an unexpected format.
    """
    proc = root / "proc"
    own = cpu_ticks(proc, command())
    busy, steal, total, cpus = read_stat((proc / "stat").read_text(encoding="ascii"), os.sched_getaffinity(0))
    return CpuTimes(busy, steal, total, cpus, own)


def read_stat(text: str, usable: Collection[int]) -> tuple[int, int, int, int]:
    """Return the busy time, the steal time, the total time, and the number of CPUs, from /proc/stat (proc_stat(5)).

    If it does not list all usable CPUs (lxcfs renumbers those of a container), it is taken to have only usable ones.

    Raises:
        ValueError: the text has an unexpected format, or counts no time.
    """
    lines = [line.split() for line in text.splitlines() if line.startswith("cpu")]
    each = {int(name[3:]): [int(one) for one in numbers] for name, *numbers in lines if name != "cpu"}
    if set(usable) <= each.keys():
        each = {number: each[number] for number in usable}
    if not each or min(len(times) for times in each.values()) < 7:
        raise ValueError("/proc/stat has no times of CPUs")
    times = [sum(column) for column in zip(*(one[:7] + (one[7:8] or [0]) for one in each.values()), strict=True)]
    user, nice, system, _, _, irq, softirq, steal = times
    if not sum(times):
        raise ValueError("/proc/stat counts no time (some containers hide it)")
    return user + nice + system + irq + softirq, steal, sum(times), len(each)


def shares(before: CpuTimes, after: CpuTimes) -> dict[str, float]:
    """Return the shares of CPU time between two readings, as fractions.

    Raises:
        ValueError: the readings are too close together, or the usable CPUs have changed.
    """
    total = after.total - before.total
    if after.cpus != before.cpus or total < 0:
        raise ValueError("the CPUs that this process may use have changed")
    if total < SHORTEST_TICKS * after.cpus:
        raise ValueError(f"the measured phase is too short: CPU time is counted in steps of {TICK_MS:g} ms")
    own = min(max(after.own - before.own, 0), total)
    others = max(after.busy - before.busy - own, 0)
    steal = max(after.steal - before.steal, 0)
    found = {"own_cpu": own / total, "others_cpu": others / total, "steal": steal / total}
    return {"cpus": after.cpus, **{name: round(share, 4) for name, share in found.items()}}
