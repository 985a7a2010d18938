"""Measure peak memory use of this process and its accelerators."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from hforch.machine import accelerators

INTERVAL_S = 0.02
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class MemoryMeter:
    """A meter of the peak resident memory of this process and of its accelerators, in MB (10^6 bytes).

    The kernel tracks the total peak (VmHWM), which is reset on entering, but not the peaks of the anonymous and
    file-backed parts (mmapped weights are file-backed), so a thread samples those every 20 ms. Their peaks may occur at
    different times and need not add up to the total peak.
    """

    def __enter__(self) -> Self:
        self.begin()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hforch-memory", daemon=True)
        self._thread.start()
        return self

    def begin(self) -> None:
        """Return freed memory to the system and reset the peaks.

        Memory cached by torch's allocator is not freed, since the first batch would have to allocate it again.
        """
        _return_freed_memory()
        accelerators.reset_peaks()
        self._peaks = {"anon": 0.0, "file": 0.0}
        self._reset = _reset_high_water_mark()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peaks(self) -> dict[str, Any]:
        """Return `peak_rss_mb` and its parts so far, and `accelerators` with the peaks of each device that was used.

        Values that the system does not provide are under `absent` with the reason.
        """
        self._look()
        status = _status()
        devices = accelerators.peaks()
        used: dict[str, Any] = {"accelerators": devices} if devices else {}
        if not self._reset or "VmHWM" not in status:
            reason = "this system has no /proc/self/clear_refs to reset the high-water mark"
            return {**used, "absent": {"peak_rss_mb": reason}}
        return used | {
            "peak_rss_mb": round(status["VmHWM"], 1),
            "peak_rss_anon_mb": round(self._peaks["anon"], 1),
            "peak_rss_file_mb": round(self._peaks["file"], 1),
        }

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self._look()

    def _look(self) -> None:
        status = _status()
        self._peaks["anon"] = max(self._peaks["anon"], status.get("RssAnon", 0.0))
        self._peaks["file"] = max(self._peaks["file"], status.get("RssFile", 0.0))


def merged_peaks(peaks: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the maximum of each peak in two results of `MemoryMeter.peaks`."""
    found = dict(peaks)
    for name, value in others.items():
        if name == "accelerators":
            found[name] = accelerators.higher_peaks(value, peaks.get(name, ()))
        else:
            found[name] = max(value, peaks[name]) if name != "absent" and name in peaks else value
    return found


def _return_freed_memory() -> None:
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has malloc_trim
        ctypes.CDLL(None).malloc_trim(0)


def _reset_high_water_mark() -> bool:
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status() -> dict[str, float]:
    """Return the VmHWM, VmRSS, RssAnon and RssFile values of /proc/self/status, in MB."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    found = (line.split() for line in lines if line.startswith(("VmHWM", "VmRSS", "RssAnon", "RssFile")))
    return {name.rstrip(":"): int(kib) * 1024 / 1e6 for name, kib, _ in found}
