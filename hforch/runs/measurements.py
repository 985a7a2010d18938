"""Memory high-water marks and the metrics of a job; the definitions are in docs/metrics.md."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, Self

from hforch.checks.judging import totals
from hforch.machine import accelerators
from hforch.metrics.aggregation import Timings
from hforch.metrics.registry import ALL
from hforch.records.measured import CheckTotals, Metrics, Totals

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


def summarize(
    samples: Sequence[Mapping[str, Any]], measured: Sequence[Mapping[str, Any]], walls: Mapping[int, float]
) -> Metrics:
    """Return the metrics of a job from its samples.

    Args:
        samples: sample records, failed ones included.
        measured: those of them that were measured in one piece: in a resumed job, what came after resuming.
        walls: the wall time of that piece for each repeat, in seconds.

    Returns:
        `measured_s`, `tokens_per_s` (the median over repeats, with the value of each in `tokens_per_s_each`), and the
        metrics that aggregate a timing (milliseconds); those of a timing that no sample has are absent with the reason.
    """
    good = [sample for sample in samples if sample["error"] is None]
    metrics: dict[str, Any] = {"measured_s": round(sum(walls.values()), 6)}
    absent = {}
    each = list(_speeds(measured, walls))
    if each:
        metrics["tokens_per_s"] = round(median(each), 3)
        if len(each) > 1:
            metrics["tokens_per_s_each"] = [round(speed, 3) for speed in each]
    else:
        absent["tokens_per_s"] = _no_speed(good, walls)
    timings = Timings()
    for sample in good:
        timings.add(sample)
    for metric in (one for one in ALL if one.timing):
        value = timings.aggregate(metric)
        if value is not None:
            metrics[metric.name] = value
        else:
            reasons = (sample["absent"][metric.timing] for sample in good if metric.timing in sample["absent"])
            absent[metric.name] = next(reasons, "no sample succeeded")
    return Metrics(**metrics, absent=absent)


def _speeds(measured: Sequence[Mapping[str, Any]], walls: Mapping[int, float]) -> Iterator[float]:
    for repeat, wall in sorted(walls.items()):
        here = [sample for sample in measured if sample["repeat"] == repeat and sample["error"] is None]
        if _uncounted(here):
            continue
        tokens = sum(sample["output_tokens"] for sample in here)
        if tokens and wall > 0:
            yield tokens / wall


def _no_speed(good: Sequence[Mapping[str, Any]], walls: Mapping[int, float]) -> str:
    if not good:
        return "no sample succeeded"
    if _uncounted(good):
        return "the number of output tokens is not known"
    return "no output tokens" if walls else "nothing was left to measure when the job was resumed"


def _uncounted(samples: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the number of output tokens of one of these answers is not known."""
    return any(sample["output_tokens"] is None for sample in samples)


def count(samples: Sequence[Mapping[str, Any]], planned: int | None = None) -> Totals:
    """Count samples, how they ended, and how many tokens went in and out."""
    reasons = [sample["finish_reason"] for sample in samples]
    checks = totals(samples)
    return Totals(
        planned=planned,
        samples=len(samples),
        failed=sum(sample["error"] is not None for sample in samples),
        prompt_tokens=sum(sample["prompt_tokens"] or 0 for sample in samples),
        output_tokens=sum(sample["output_tokens"] or 0 for sample in samples),
        finish_reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        checks=CheckTotals(**checks) if checks else None,
    )


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
