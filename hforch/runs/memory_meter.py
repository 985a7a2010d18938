"""Memory high-water marks of this process and its accelerators."""

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
    """The peaks of this process's resident memory and of its accelerators while it is open, in MB (10^6 bytes).

    The kernel keeps the peak of the whole (VmHWM), which is reset on entering. Its anonymous and file-backed parts
    (mmapped weights are file-backed) have no such mark, so a thread looks at them every 20 ms; their peaks may fall
    at different moments, and need not add up to the peak of the whole.
    """

    def __enter__(self) -> Self:
        self.begin()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hforch-memory", daemon=True)
        self._thread.start()
        return self

    def begin(self) -> None:
        """Give back what this process has freed, and forget the peaks so far.

        What torch's allocator keeps for a model in memory it may keep: the first batch would pay for it.
        """
        _give_back_memory()
        accelerators.reset_peaks()
        self._peaks = {"anon": 0.0, "file": 0.0}
        self._reset = _reset_high_water_mark()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peaks(self) -> dict[str, Any]:
        """Return `peak_rss_mb` and its parts so far, and `accelerators` with the peaks of each device that was used.

        What the system does not tell is absent, with the reason.
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
    """Return the higher one of two peaks each, as `MemoryMeter.peaks` gives them."""
    found = dict(peaks)
    for name, value in others.items():
        if name == "accelerators":
            found[name] = accelerators.higher_peaks(value, peaks.get(name, ()))
        else:
            found[name] = max(value, peaks[name]) if name != "absent" and name in peaks else value
    return found


def _give_back_memory() -> None:
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _reset_high_water_mark() -> bool:
    try:
        CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status() -> dict[str, float]:
    """The Vm* and Rss* lines of /proc/self/status, in MB."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    found = (line.split() for line in lines if line.startswith(("VmHWM", "VmRSS", "RssAnon", "RssFile")))
    return {name.rstrip(":"): int(kib) * 1024 / 1e6 for name, kib, _ in found}
