"""The charts of the report: which metrics they show, of which jobs, and their captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hforch.comparison.decision import Decision, decide
from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison
from hforch.metrics.metric import Chart, Metric
from hforch.metrics.registry import BY_NAME, COMPARED
from hforch.report.page.chart_data import interval_text, limit, named, valued
from hforch.report.page.chart_specs import FRONT, OTHER, PERCENTS, STATES, boxes, points, scatter
from hforch.report.wording import job_list

LOGARITHMIC = "is logarithmic, with 0 at its start"
MOST = 60  # maximum number of jobs in a chart with one line per job
MOST_LABELS = 24  # with more points, only jobs with a role in the decision and those in the Pareto set have labels
CHECKS = BY_NAME["checks"]
QUALITIES = sorted((one for one in COMPARED if one.quality_rank), key=lambda one: one.quality_rank)
COSTS = [one for one in COMPARED if one.in_pareto and one.kind in ("speed", "memory")]


def charts(comparison: Comparison, asked: Sequence[str] = (), decision: Decision | None = None) -> list[dict[str, Any]]:
    """Return `group`, `title`, `says` (the caption) and `spec` of each chart that has data.

    Scatter charts also have `points`, whose labels are placed by a script of the report.

    Args:
        asked: the names of the metrics that the decision uses.
    """
    return [
        *_trade_offs(comparison, asked, decision),
        *_times(comparison, decision),
        *_by_job(comparison, "Answers", decision),
        *_by_job(comparison, "Scores", decision),
    ]


def quality_of(rows: Sequence[Row], asked: Sequence[str]) -> Metric | None:
    """Return the metric of the quality axis: the first that differs between jobs.

    Checks come first, because they state what a good answer is; then the metrics that the decision uses; then the
    candidates of the registry.
    """
    named = [BY_NAME[name] for name in asked if BY_NAME[name].kind == "quality"]
    return next((metric for metric in (CHECKS, *named, *QUALITIES) if _tells_apart(rows, metric)), None)


def _in_chart(chart: Chart) -> list[Metric]:
    return [metric for metric in COMPARED if metric.chart == chart]


# ---------------------------------------------------------------- speed and memory against quality
def _trade_offs(comparison: Comparison, asked: Sequence[str], decision: Decision | None) -> Iterator[dict[str, Any]]:
    rows = comparison.rows
    quality = quality_of(rows, asked)
    if quality is None:
        return
    measured_on = Counter(row.measured_on for row in rows).most_common(1)[0][0]
    pareto = (decision or decide(comparison, ())).pareto
    are_equal = quality is not CHECKS and all(_is_known(row, CHECKS) for row in rows)
    notes = " All jobs passed the same fraction of checks." if are_equal else ""
    for metric in COSTS:
        known = [row for row in rows if _is_known(row, metric) and _is_known(row, quality)]
        if metric.kind == "speed":
            # Speeds of different machines or of a shared GPU are not comparable.
            known = [row for row in known if row.measured_on == measured_on and row.can_rank(metric.name)]
        if len(known) < 2:
            continue
        front = front_of([(_good(row, metric), _good(row, quality)) for row in known])
        ends = limit(known, metric), limit(known, quality)
        data = [
            named(row, decision)
            | valued(row, metric, "x", ends[0])
            | valued(row, quality, "y", ends[1])
            | {"front": at in front}
            for at, row in enumerate(known)
        ]
        for one, row in zip(data, known, strict=True):
            if one["state"] == OTHER and any(row is other for other in pareto):
                one["state"] = FRONT
        yield {
            "group": "Speed and memory against quality",
            "title": f"{_capitalized(metric.title)} and {quality.title}",
            "says": "Up and to the right is better. Dashed line: the Pareto front of the measured values, without"
            " intervals."
            f" {_pareto([row.entry.name for row in known if any(row is one for one in pareto)])}"
            + _intervals(data, comparison)
            + notes
            + _scale_notes(metric, quality),
            "spec": scatter(data, metric, quality),
            "points": [_labelled(one, len(data)) for one in data],
            "front": {
                "points": sorted([one["x"], one["y"]] for one in data if one["front"]),
                "isStepAfter": metric.is_higher_better,
            },
        }


def _pareto(names: Sequence[str]) -> str:
    """Return the sentence about the Pareto set."""
    told = "Pareto set (qualified jobs that no other job is confirmed to beat in speed, memory and quality)"
    return f"{told}: {job_list(names) if names else 'none of these jobs'}."


def _labelled(one: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the data of a point that the script that places labels uses."""
    kept = {"job", "name", "short", "x", "y", "x_low", "x_high", "y_low", "y_high"}
    is_labelled = number <= MOST_LABELS or one["state"] != OTHER
    rank = list(STATES).index(one["state"])
    return {key: value for key, value in one.items() if key in kept} | {"rank": rank, "labelled": is_labelled}


def front_of(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the Pareto-optimal points; in both coordinates, higher is better."""
    return [
        at for at, one in enumerate(points) if not any(a >= one[0] and b >= one[1] and (a, b) != one for a, b in points)
    ]


# ---------------------------------------------------------------- one line per job
def _times(comparison: Comparison, decision: Decision | None) -> Iterator[dict[str, Any]]:
    for metric in _in_chart("Times"):
        known = [row for row in comparison.rows if metric.timing in row.quantiles]
        data = [
            named(row, decision)
            | dict(zip(PERCENTS, row.quantiles[metric.timing], strict=True))
            | interval_text(row, metric, "x")
            for row in _first(known, decision)
        ]
        if data:
            yield {
                "group": "Times",
                "title": metric.title,
                "says": "Line in the box: median. Box: 25th to 75th percentile. Whiskers: 5th to 95th percentile."
                + _left(known),
                "spec": boxes(data, metric),
            }


def _by_job(comparison: Comparison, group: Chart, decision: Decision | None) -> Iterator[dict[str, Any]]:
    rows = comparison.rows
    for metric in _in_chart(group):
        known = [row for row in rows if _is_known(row, metric)]
        if len(known) < 2 or (group == "Answers" and not _tells_apart(rows, metric)):
            continue
        shown = _first(known, decision)
        most = limit(shown, metric)
        data = [named(row, decision) | valued(row, metric, "x", most) for row in shown]
        better = "Higher" if metric.is_higher_better else "Lower"
        yield {
            "group": group,
            "title": _capitalized(metric.title),
            "says": f"{better} is better.{_intervals(data, comparison)}{_scale_notes(metric)}{_left(known)}",
            "spec": points(data, metric),
        }


def _first(known: Sequence[Row], decision: Decision | None) -> list[Row]:
    """Return the first MOST rows; if the recommended one is not among them, it replaces the last."""
    shown = list(known[:MOST])
    later = [row for row in known[MOST:] if decision is not None and row is decision.winner]
    return [*shown[: MOST - len(later)], *later]


# ---------------------------------------------------------------- captions
def _intervals(data: Sequence[dict[str, Any]], comparison: Comparison) -> str:
    """Return a note about the lines that show intervals, if there are any."""
    has_any = any(name in one for one in data for name in ("x_low", "y_low"))
    return f" Solid lines: {comparison.confidence:.0%} intervals." if has_any else ""


def _scale_notes(*metrics: Metric) -> str:
    """Return notes about axes that do not start at 0 or are not linear."""
    notes = [
        f" The axis of {one.title} {LOGARITHMIC if one.is_logarithmic else f'starts at {one.floor:g}'}."
        for one in metrics
        if one.is_logarithmic or one.floor
    ]
    return "".join(notes)


def _capitalized(title: str) -> str:
    return title.capitalize() if title.islower() else title


def _left(known: Sequence[Row]) -> str:
    return f" Showing {MOST} of {len(known)} jobs." if len(known) > MOST else ""


def _is_known(row: Row, metric: Metric) -> bool:
    return row.metrics.get(metric.name) is not None


def _tells_apart(rows: Sequence[Row], metric: Metric) -> bool:
    return len({row.metrics[metric.name] for row in rows if _is_known(row, metric)}) > 1


def _good(row: Row, metric: Metric) -> float:
    value = row.metrics[metric.name]
    assert value is not None
    return metric.goodness(value)
