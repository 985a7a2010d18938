"""Columns and cells of the comparison tables, from the metric registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from hforch.comparison.effect_text import interval_text
from hforch.comparison.intervals import reasons_without_interval
from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison
from hforch.metrics.metric import Metric
from hforch.metrics.registry import BY_NAME, COMPARED, SCORES
from hforch.records.intervals import OF_BASELINE
from hforch.report.wording import accelerator_mb

Cell = Callable[[Row], str]


def _value(metric: Metric) -> Cell:
    """Return a function that formats the value of a metric, with its interval if available."""

    def cell(row: Row) -> str:
        value = row.metrics.get(metric.name)
        return "" if value is None else f"{metric.shown(value)}{_interval(row, metric)}"

    return cell


def _interval(row: Row, metric: Metric) -> str:
    estimate = row.estimates.get(metric.name)
    return "" if estimate is None or estimate.interval is None else f" {interval_text(estimate.interval, metric)}"


def _speed(row: Row) -> str:
    """Return tokens/s with its interval; without one, with the range of the repeats."""
    value, metric = row.metrics.get("tokens_per_s"), BY_NAME["tokens_per_s"]
    spread = f" ({row.spread[0]:.1f}-{row.spread[1]:.1f})" if row.spread else ""
    return "" if value is None else f"{value:.1f}{_interval(row, metric) or spread}"


def _accelerator(row: Row) -> str:
    known = row.metrics.get("peak_accelerator_mb") is not None
    return accelerator_mb(row.entry.record["memory"]) if known else ""


def _ttft(row: Row) -> str:
    p50, p95 = row.metrics.get("ttft_ms"), row.metrics.get("ttft_p95_ms")
    if p50 is None or p95 is None:
        return ""
    one, other = (_interval(row, BY_NAME[name]) for name in ("ttft_ms", "ttft_p95_ms"))
    return f"{p50:.0f}{one} / {p95:.0f}{other}"


def _checks(row: Row) -> str:
    return "" if row.checks is None else f"{row.checks[0]}/{row.checks[1]}{_interval(row, BY_NAME['checks'])}"


def _failed(row: Row) -> str:
    return f"{row.metrics['failed']:.0f}" if row.metrics.get("failed") else ""


def _first_diff(row: Row) -> str:
    at, share = row.metrics.get("first_diff"), row.metrics.get("first_diff_share")
    return "" if at is None else f"{at:.0f} ({share or 0.0:.0%})"


CELLS: dict[str, Cell] = {
    "tokens_per_s": _speed,
    "ttft_ms": _ttft,
    "peak_accelerator_mb": _accelerator,
    "checks": _checks,
    "failed": _failed,
    "first_diff": _first_diff,
}
"""The functions for cells that show more than the value, by metric name."""


def _columns(metrics: Iterable[Metric]) -> dict[str, Cell]:
    """Return the cell function of each metric, by column header."""
    return {one.header: CELLS.get(one.name) or _value(one) for one in metrics if one.has_column}


COSTS = _columns(one for one in COMPARED if one.kind in ("speed", "memory", "energy"))
SCORED = _columns(SCORES)
OUTPUTS: dict[str, Cell] = {
    "baseline": lambda row: row.baseline or ("(baseline)" if "baseline" in row.notes else ""),
    **_columns(one for one in COMPARED if one.kind in ("failure", "quality") and not one.is_score),
    "notes": lambda row: "; ".join(row.notes),
}


def tables(comparison: Comparison, notes: bool = True) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Yield the headers and cells of the tables of costs, scores and outputs, without empty columns.

    Args:
        notes: whether the last table has a notes column.
    """
    axes = {axis: _axis(axis) for axis in comparison.axes}
    for columns in (COSTS, SCORED, OUTPUTS):
        wanted = {name: cell for name, cell in columns.items() if notes or name != "notes"}
        told = {name: cell for name, cell in wanted.items() if any(cell(row) for row in comparison.rows)}
        if told:
            cells: dict[str, Cell] = {"job": lambda row: row.entry.name, **axes, **told}
            yield list(cells), [[cell(row) for cell in cells.values()] for row in comparison.rows]


def intervals_line(comparison: Comparison) -> str:
    """Return a line that explains the intervals in the tables, and names the shown metrics that have none."""
    headers = {header for columns, _ in tables(comparison) for header in columns}
    shown = {one.name: one.header for one in COMPARED if one.header in headers}
    found = reasons_without_interval(comparison.rows)
    by_reason = {why: [shown[name] for name in some if name in shown] for why, some in found.items()}
    by_reason.pop(OF_BASELINE, None)
    lacking = "; ".join(f"{', '.join(some)} ({why})" for why, some in by_reason.items() if some)
    has_any = any(one.interval is not None for row in comparison.rows for one in row.estimates.values())
    if not has_any and not lacking:
        return ""
    explained = f"[low, high]: {comparison.confidence:.0%} interval" if has_any else "no intervals"
    return f"{explained}. None for: {lacking}" if lacking and has_any else f"{explained}: {lacking}".rstrip(": ")


def _axis(axis: str) -> Cell:
    return lambda row: row.axes.get(axis, "")
