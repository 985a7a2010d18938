"""Read what slows a CPU down: its clock frequency, heat, the quota of a container, and swapping."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path

CPUS = "sys/devices/system/cpu"
MOST_CPUS = 32  # more are not sampled, since each reading of a frequency may interrupt the CPU
NO_FREQUENCY = "the frequencies of the CPUs are not readable (virtual machines usually hide them)"
NO_HEAT = "the CPUs have no counters of thermal throttling (virtual machines usually hide them)"
NO_CGROUP = "the CPU time of this process is not limited by a cgroup (version 2)"


def frequency_files(root: Path) -> list[Path]:
    """Return the files with the current frequency of the usable CPUs, or of some of them if there are many.

    Raises:
        ValueError: no such file is readable.
    """
    usable = sorted(os.sched_getaffinity(0))
    some = usable[:: -(-len(usable) // MOST_CPUS)]
    files = [root / CPUS / f"cpu{number}" / "cpufreq" / "scaling_cur_freq" for number in some]
    found = [file for file in files if os.access(file, os.R_OK)]
    if not found:
        raise ValueError(NO_FREQUENCY)
    return found


def fastest_mhz(files: list[Path]) -> float:
    """Return the frequency of the fastest CPU, in MHz; idle CPUs reduce theirs, which does not slow a job down.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file does not contain a number.
    """
    return max(int(file.read_text(encoding="ascii")) for file in files) / 1000


def thermal_counts(root: Path) -> Mapping[str, int]:
    """Return how often heat has slowed down each CPU, and its package, since boot.

    Raises:
        OSError: a file cannot be read.
        ValueError: there are no such counters, or they do not contain numbers.
    """
    files = sorted((root / CPUS).glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
    if not files:
        raise ValueError(NO_HEAT)
    return {str(file): int(file.read_text(encoding="ascii")) for file in files}


def swapped_pages(root: Path) -> tuple[int, int]:
    """Return the number of pages that the machine has read from and written to swap since boot.

    Raises:
        OSError: the file cannot be read.
        ValueError: the numbers are missing.
    """
    lines = (root / "proc/vmstat").read_text(encoding="ascii").splitlines()
    found = dict(line.split() for line in lines if line.startswith(("pswpin ", "pswpout ")))
    if len(found) < 2:
        raise ValueError("/proc/vmstat does not count swapped pages")
    return int(found["pswpin"]), int(found["pswpout"])


def megabytes(pages: int) -> float:
    return round(pages * resource.getpagesize() / 1e6, 3)


def quota_counts(root: Path) -> tuple[int, float]:
    """Return how often, and for how many seconds, the CPU quotas of this process's cgroup and its parents stopped it.

    The seconds are those of all its CPUs together.

    Raises:
        OSError: a file cannot be read.
        ValueError: there is no such cgroup, or a file has an unexpected format.
    """
    periods, seconds, found = 0, 0.0, False
    for file in _cpu_stats(root):
        numbers = dict(line.split() for line in file.read_text(encoding="ascii").splitlines())
        if "nr_throttled" in numbers:
            found = True
            periods += int(numbers["nr_throttled"])
            seconds += int(numbers["throttled_usec"]) / 1e6
    if not found:
        raise ValueError(NO_CGROUP)
    return periods, seconds


def _cpu_stats(root: Path) -> Iterator[Path]:
    """Yield the existing cpu.stat files of this process's cgroup and the cgroups that contain it."""
    lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if own is None:
        raise ValueError(NO_CGROUP)
    inside = Path(own.lstrip("/"))
    for top in (root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"):
        for folder in (inside, *inside.parents):
            if (file := top / folder / "cpu.stat").is_file():
                yield file
