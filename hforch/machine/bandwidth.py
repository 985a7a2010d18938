"""Measure the memory read bandwidth of this machine (`hforch doctor --bandwidth`), and cache the result."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

from hforch.utils.cache_home import cache_home
from hforch.utils.datafiles import read_json
from hforch.utils.files import write_whole

ROUNDS = 5
PASSES = 4  # passes over each thread's memory per round
LEAST_MB, CACHES = 512, 4  # memory to read: at least LEAST_MB, and CACHES times the total last-level cache
LARGEST_SHARE = 0.25  # maximum fraction of the free memory to read
CACHE_SIZES = Path("/sys/devices/system/cpu")


def identity(environment: Mapping[str, Any]) -> str | None:
    """Return a string that identifies the machine of a record's environment, or None if the environment is incomplete.

    Host names and machine ids are not used: containers get new host names, and cloned virtual machines share ids.
    """
    cpu, memory = environment.get("cpu") or {}, environment.get("memory_mb")
    if not cpu.get("name") or not memory:
        return None
    cores = f"{cpu.get('usable_cores')} of {cpu.get('logical_cores')} cores"
    return f"{cpu['name']}, {cores}, {round(memory / 1000)} GB"


def measure(threads: int, size_mb: int | None = None) -> float:
    """Return the read bandwidth in GB/s (10^9 bytes): the best of ROUNDS rounds in which all threads read their memory.

    Args:
        threads: number of threads that read at the same time.
        size_mb: total memory to read, in MB; by default more than the CPU caches hold.
    """
    import numpy

    size = (size_mb or memory_to_read_mb()) * 1_000_000 // threads // 8 * 8
    together = Barrier(threads)

    def read(number: int) -> list[tuple[float, float]]:
        times = []
        try:
            # Each thread allocates the memory that it reads, so that it is local on NUMA machines.
            mine = numpy.full(size // 8, number, dtype=numpy.int64)
            for _ in range(ROUNDS):
                together.wait()
                start = time.perf_counter()
                for _ in range(PASSES):
                    mine.max()
                times.append((start, time.perf_counter()))
        except BaseException:
            together.abort()
            raise
        return times

    with ThreadPoolExecutor(threads) as pool:
        by_thread = list(pool.map(read, range(threads)))
    seconds = min(max(end for _, end in one) - min(start for start, _ in one) for one in zip(*by_thread, strict=True))
    return size * threads * PASSES / seconds / 1e9


def memory_to_read_mb() -> int:
    """Return the memory to read, in MB, such that the processor's caches hold only a small part of it."""
    import psutil

    free = psutil.virtual_memory().available / 1e6 * LARGEST_SHARE
    return max(1, int(min(max(LEAST_MB, CACHES * largest_cache_mb()), free)))


def largest_cache_mb() -> float:
    """Return the total size of the last-level caches, in MB; 0 if unknown."""
    sizes = {}
    for index in CACHE_SIZES.glob("cpu[0-9]*/cache/index3"):
        try:
            shared, size = (index / "shared_cpu_list").read_text(), (index / "size").read_text().strip()
            sizes[shared] = int(size.removesuffix("K")) * 1024 / 1e6
        except (OSError, ValueError):
            continue
    return sum(sizes.values())


# ---------------------------------------------------------------- stored measurements
def file() -> Path:
    """Return the file of stored measurements, with one entry per machine that shares the cache."""
    return cache_home() / "bandwidth.json"


def store(machine: str, gb_per_s: float, threads: int) -> None:
    """Store a measurement.

    Raises:
        OSError: the file cannot be written.
    """
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    found = _all() | {machine: {"gb_per_s": round(gb_per_s, 2), "threads": threads, "measured": measured}}
    file().parent.mkdir(parents=True, exist_ok=True)
    write_whole(file(), json.dumps(found, indent=2) + "\n")


def stored(environment: Mapping[str, Any]) -> float | None:
    """Return the stored read bandwidth of an environment's machine, in GB/s, or None if it was not measured."""
    machine = identity(environment)
    found = _all().get(machine) if machine else None
    value = found.get("gb_per_s") if isinstance(found, dict) else None
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _all() -> dict[str, Any]:
    try:
        found = read_json(file())
    except (OSError, ValueError):  # a missing or damaged file: measure again
        return {}
    return found if isinstance(found, dict) else {}
