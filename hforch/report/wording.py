"""The words a run is told in; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hforch.errors import EXIT_UNMET
from hforch.metrics.metric import Metric
from hforch.metrics.registry import ALL, BY_NAME

ENDS = {"stop": "stopped by a stop sequence", "eos": "ended by itself", "length": "cut at the limit"}


def header_line(parts: Mapping[str, str]) -> str:
    return " · ".join(f"{name} {value}" for name, value in parts.items())


def stage_line(name: str, detail: str, seconds: float, finished: bool = True) -> str:
    return f"{name}: {detail} ({seconds:.1f} s)" if finished else f"{name}: {detail}: stopped after {seconds:.1f} s"


def answer_lines(sample: Mapping[str, Any], done: int, total: int, streamed: bool) -> Iterator[tuple[str, str]]:
    """The lines that tell of a finished sample, each with its style; of a streamed one the text is told already."""
    if sample["error"] is not None:
        error = sample["error"]
        yield f"failed: input {sample['index'] + 1}: {error.get('traceback') or error['message']}", "red"
        return
    if not streamed:
        yield f"\n[{done}/{total}] {item_line(sample['input'])}", "cyan"
        if sample["text"]:
            yield sample["text"], ""
    if not sample["text"].strip():
        yield f"(an empty answer, {ENDS.get(sample['finish_reason'], sample['finish_reason'])})", "yellow"
    for check in sample.get("checks") or ():
        if not check["passed"]:
            yield f"check not passed: {check['name']}: {check['why']}", "yellow"


def item_line(item: Any, longest: int | None = 200) -> str:
    """An input in one line: a text as it is, values by name otherwise; a single value without its name."""
    if isinstance(item, Mapping):
        values = [str(value) for value in item.values()]
        item = values[0] if len(values) == 1 else ", ".join(f"{name}: {value}" for name, value in item.items())
    line = " ".join(str(item).split())
    return line if longest is None or len(line) <= longest else line[: longest - 1] + "…"


def summary_lines(record: Mapping[str, Any], directory: str) -> tuple[str, str]:
    """What came out, in one line; and where the record is, in the next."""
    totals = record.get("totals") or {}
    many = (totals.get("planned") or 0) > 1
    parts = [record["status"]] if record["status"] != "ok" else []
    if many:
        parts.append(f"{totals['samples'] - totals['failed']} of {totals['planned']} answered")
    if totals.get("output_tokens"):
        parts.append(f"{totals['output_tokens']} tokens, {_ends(totals['finish_reasons'])}")
    known = dict(record) if totals.get("samples") else {**record, "memory": {}}
    parts += (_phrase(metric, known, many) for metric in ALL if metric.summary and metric.read(known) is not None)
    if checks := totals.get("checks"):
        parts.append(_checks(checks, record.get("exit_code")))
    return " · ".join(parts) or "nothing was answered", f"record: {directory}"


def _phrase(metric: Metric, record: Mapping[str, Any], many: bool) -> str:
    """Return a metric as the line at the end of a run has it, such as `TTFT 60 ms (median)`."""
    value = metric.read(record)
    assert value is not None
    shown = accelerator_mb(record["memory"]) if metric.name == "peak_accelerator_mb" else metric.shown(value)
    more = " (median)" if many and metric.timing else ""
    if metric.name == "energy_j" and (power := BY_NAME["power_w"].read(record)) is not None:
        more = f" ({BY_NAME['power_w'].shown(power)} W)"
    return metric.summary.format(value=shown) + more


def accelerator_mb(memory: Mapping[str, Any]) -> str:
    """Return the peak of accelerator memory; of several devices the sum and each one's, such as `30 (20 + 10)`."""
    devices = [one["allocated_mb"] for one in memory.get("accelerators") or () if one.get("allocated_mb") is not None]
    each = f" ({' + '.join(f'{size:.0f}' for size in devices)})" if len(devices) > 1 else ""
    return f"{memory['peak_accelerator_mb']:.0f}{each}"


def _checks(counted: Mapping[str, Any], code: int | None) -> str:
    """Such as: checks: 3 of 4 passed."""
    enough = "" if code != EXIT_UNMET else ", fewer than runtime.min_pass asks for"
    return f"checks: {counted['passed']} of {counted['total']} passed{enough}"


def duration(seconds: float) -> str:
    """A time that is not known to the second anyway."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def failure(record: Mapping[str, Any], directory: str) -> str | None:
    """Why a run failed, and where to look; None if it did not, or if its failed samples have been told."""
    error = record.get("error")
    if not error:
        return None
    return f"{error.get('traceback') or error['message']}\n    log: {directory}/hforch.log"


def _ends(reasons: Mapping[str, int]) -> str:
    """How the answers ended: in words for one, counted for several."""
    known = {reason: number for reason, number in reasons.items() if reason in ENDS}
    if sum(known.values()) == 1:
        return ENDS[next(iter(known))]
    return ", ".join(f"{number} {ENDS[reason]}" for reason, number in known.items())
