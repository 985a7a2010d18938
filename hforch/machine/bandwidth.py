"""How fast this machine reads its memory: measured by `hforch doctor --bandwidth`, and kept in the cache."""

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
PASSES = 4  # over each thread's memory in a round
LEAST_MB, CACHES = 512, 4  # memory that is read: at least so much, and so many times the processor's largest cache
LARGEST_SHARE = 0.25  # of the free memory
CACHE_SIZES = Path("/sys/devices/system/cpu")


def identity(environment: Mapping[str, Any]) -> str | None:
    """Return what tells this machine from others, of an environment as records have it; None if it is not known.

    Containers get new host names, and clones of a virtual machine share its ids, so these are not used.
    """
    cpu, memory = environment.get("cpu") or {}, environment.get("memory_mb")
    if not cpu.get("name") or not memory:
        return None
    cores = f"{cpu.get('usable_cores')} of {cpu.get('logical_cores')} cores"
    return f"{cpu['name']}, {cores}, {round(memory / 1000)} GB"


def measure(threads: int, size_mb: int | None = None) -> float:
    """Return the read bandwidth in GB/s (10^9 bytes): the best of some rounds in which all threads read their memory.

    Args:
        threads: how many read at the same time.
        size_mb: how much memory is read in all; None: enough that no cache holds it.
    """
    import numpy

    size = (size_mb or memory_to_read_mb()) * 1_000_000 // threads // 8 * 8
    together = Barrier(threads)

    def read(number: int) -> list[tuple[float, float]]:
        times = []
        try:
            mine = numpy.full(
                size // 8, number, dtype=numpy.int64
            )  # written by the thread that reads it: on NUMA, near
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
    """Return how much memory to read so that the processor's caches hold little of it."""
    import psutil

    free = psutil.virtual_memory().available / 1e6 * LARGEST_SHARE
    return max(1, int(min(max(LEAST_MB, CACHES * largest_cache_mb()), free)))


def largest_cache_mb() -> float:
    """Return the size of all caches of the last level; 0 where the system does not say."""
    sizes = {}
    for index in CACHE_SIZES.glob("cpu[0-9]*/cache/index3"):
        try:
            shared, size = (index / "shared_cpu_list").read_text(), (index / "size").read_text().strip()
            sizes[shared] = int(size.removesuffix("K")) * 1024 / 1e6
        except (OSError, ValueError):
            continue
    return sum(sizes.values())


# ---------------------------------------------------------------- kept
def file() -> Path:
    """Return where measurements are kept, one for each machine that shares the cache."""
    return cache_home() / "bandwidth.json"


def store(machine: str, gb_per_s: float, threads: int) -> None:
    """Keep a measurement.

    Raises:
        OSError: it cannot be written.
    """
    measured = datetime.now(UTC).isoformat(timespec="seconds")
    found = _all() | {machine: {"gb_per_s": round(gb_per_s, 2), "threads": threads, "measured": measured}}
    file().parent.mkdir(parents=True, exist_ok=True)
    write_whole(file(), json.dumps(found, indent=2) + "\n")


def stored(environment: Mapping[str, Any]) -> float | None:
    """Return the read bandwidth of the machine of an environment, in GB/s; None if it was not measured."""
    machine = identity(environment)
    found = _all().get(machine) if machine else None
    value = found.get("gb_per_s") if isinstance(found, dict) else None
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _all() -> dict[str, Any]:
    try:
        found = read_json(file())
    except (OSError, ValueError):  # a damaged one is measured anew
        return {}
    return found if isinstance(found, dict) else {}
