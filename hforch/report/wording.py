"""The words a run is told in; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def header_line(parts: Mapping[str, str]) -> str:
    return " · ".join(f"{name} {value}" for name, value in parts.items())


def stage_line(name: str, detail: str, seconds: float) -> str:
    return f"{name}: {detail} ({seconds:.1f} s)"


def answer_head(sample: Mapping[str, Any], done: int, total: int) -> str:
    return f"\n[{done}/{total}] {item_line(sample['input'])}"


def item_line(item: Any) -> str:
    """An input in one line: a text as it is, values by name otherwise; a single value without its name."""
    if isinstance(item, Mapping):
        values = [str(value) for value in item.values()]
        item = values[0] if len(values) == 1 else ", ".join(f"{name}: {value}" for name, value in item.items())
    line = " ".join(str(item).split())
    return line if len(line) <= 200 else line[:199] + "…"


def summary_lines(record: Mapping[str, Any], directory: str) -> list[str]:
    """What came out, in one line; and where the record is, in the next."""
    totals = record.get("totals") or {}
    metrics = record.get("metrics") or {}
    memory = (record.get("memory") or {}) if totals.get("samples") else {}
    parts = [record["status"]] if record["status"] != "ok" else []
    if totals.get("samples", 0) > 1:
        parts.append(f"{totals['samples'] - totals['failed']} of {totals['samples']} answered")
    if totals.get("output_tokens"):
        parts.append(f"{totals['output_tokens']} tokens")
    if "ttft_ms" in metrics:
        median = " (median)" if totals.get("samples", 0) > 1 else ""
        parts.append(f"first token {metrics['ttft_ms']:.0f} ms{median}")
    if "tokens_per_s" in metrics:
        parts.append(f"{metrics['tokens_per_s']:.1f} tokens/s")
    if "peak_rss_mb" in memory:
        parts.append(f"peak memory {memory['peak_rss_mb']:.0f} MB")
    if "peak_accelerator_mb" in memory:
        parts.append(f"accelerator {memory['peak_accelerator_mb']:.0f} MB")
    return [" · ".join(parts) or "nothing was answered", f"record: {directory}"]


def failure(record: Mapping[str, Any], directory: str) -> str | None:
    """Why a run failed, and where to look; None if it did not, or if its failed samples have been told."""
    error = record.get("error")
    return f"{error['message']}\n    log: {directory}/hforch.log" if error else None
