"""Measure what disturbs a measurement on this machine: other processes, swapping, and a CPU that is slowed down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Generic, Self, TypeVar

from hforch.machine.cpu_time import cpu_times, shares
from hforch.machine.throttling import (
    fastest_mhz,
    frequency_files,
    megabytes,
    quota_counts,
    swapped_pages,
    thermal_counts,
)

SAMPLE_S = 1.0  # interval of samples of the CPU frequency
T = TypeVar("T")


@dataclass(frozen=True)
class Absent:
    """The reason why a value cannot be read."""

    reason: str


@dataclass(frozen=True)
class Source(Generic[T]):
    """Counters of the system.

    Attributes:
        names: the values that are computed from them.
        read: reads the counters; its argument is the root of the file system.
        change: computes the values from the counters at the beginning and at the end.
    """

    names: tuple[str, ...]
    read: Callable[[Path], T]
    change: Callable[[T, T], Mapping[str, float]]


def _swapped(before: tuple[int, int], after: tuple[int, int]) -> dict[str, float]:
    read, written = (max(now - then, 0) for then, now in zip(before, after, strict=True))
    return {"swapped_in_mb": megabytes(read), "swapped_out_mb": megabytes(written)}


def _heated(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, float]:
    return {"thermal_throttles": max([0, *(after[file] - before[file] for file in before.keys() & after.keys())])}


def _limited(before: tuple[int, float], after: tuple[int, float]) -> dict[str, float]:
    stopped, seconds = (max(now - then, 0) for then, now in zip(before, after, strict=True))
    return {"quota_throttles": int(stopped), "quota_throttled_s": round(seconds, 3)}


SOURCES: tuple[Source[Any], ...] = (
    Source(("own_cpu", "others_cpu", "steal"), cpu_times, shares),
    Source(("swapped_in_mb", "swapped_out_mb"), swapped_pages, _swapped),
    Source(("thermal_throttles",), thermal_counts, _heated),
    Source(("quota_throttles", "quota_throttled_s"), quota_counts, _limited),
)
FREQUENCY = ("cpu_mhz_min", "cpu_mhz_mean")


class LoadMeter:
    """A meter of the load of the machine and the state of its CPU, from `begin` to `end`.

    It reads counters at the beginning and at the end, and the frequency of the CPU, where it is readable, once a
    second. It never fails: values that cannot be read are absent, with the reason.

    Args:
        root: the root of the file system, with `proc` and `sys`.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._mhz: list[float] = []
        self._why_no_mhz: str | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> Self:
        self._began = time.perf_counter()
        self._start_sampling()
        self._before = {source.names: _attempt(source.read, self._root) for source in SOURCES}
        return self

    def end(self) -> dict[str, Any]:
        """Stop measuring and return the values by name; `absent` has the reasons for missing ones."""
        afters = {source.names: _attempt(source.read, self._root) for source in SOURCES}
        found: dict[str, Any] = {"seconds": round(time.perf_counter() - self._began, 3)}
        absent: dict[str, str] = {}
        for source in SOURCES:
            counters = (self._before[source.names], afters[source.names])
            missing = next((one for one in counters if isinstance(one, Absent)), None)
            values = missing or _attempt(source.change, *counters)
            if isinstance(values, Absent):
                absent |= dict.fromkeys(source.names, values.reason)
            else:
                found |= values
        self._stop_sampling()
        if self._why_no_mhz is None:
            found |= {"cpu_mhz_min": round(min(self._mhz), 1), "cpu_mhz_mean": round(mean(self._mhz), 1)}
        else:
            absent |= dict.fromkeys(FREQUENCY, self._why_no_mhz)
        return found | ({"absent": absent} if absent else {})

    def _start_sampling(self) -> None:
        files = _attempt(frequency_files, self._root)
        if isinstance(files, Absent):
            self._why_no_mhz = files.reason
            return
        self._thread = threading.Thread(target=self._sample, args=(files,), name="hforch-frequency", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # the process may not start more threads
            self._thread, self._why_no_mhz = None, str(error)

    def _sample(self, files: list[Path]) -> None:
        while True:
            sample = _attempt(fastest_mhz, files)
            if isinstance(sample, Absent):
                self._why_no_mhz = sample.reason
                return
            self._mhz.append(sample)
            if self._over.wait(SAMPLE_S):
                return

    def _stop_sampling(self) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()


def _attempt(read: Callable[..., Any], *arguments: Any) -> Any:
    """Return the result of a function, or `Absent` if a file cannot be read or understood."""
    try:
        return read(*arguments)
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError) as error:
        return Absent(_reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"cannot read {error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
