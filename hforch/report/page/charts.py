"""The charts of the report: which metrics they show, of which jobs, and their captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hforch.comparison.rows import Row
from hforch.metrics.metric import Chart, Metric
from hforch.metrics.registry import BY_NAME, COMPARED
from hforch.report.page.chart_specs import FRONT, OTHER, PERCENTS, RECOMMENDED, boxes, points, scatter
from hforch.report.wording import job_list

MOST = 60  # maximum number of jobs in a chart with one line per job
MOST_LABELS = 24  # with more points, only the recommended job and those on the Pareto front have labels
CHECKS = BY_NAME["checks"]
QUALITIES = sorted((one for one in COMPARED if one.quality_rank), key=lambda one: one.quality_rank)
COSTS = [one for one in COMPARED if one.in_pareto and one.kind in ("speed", "memory")]


def charts(rows: Sequence[Row], asked: Sequence[str] = (), winner: Row | None = None) -> list[dict[str, Any]]:
    """Return `group`, `title`, `says` (the caption) and `spec` of each chart that has data.

    Scatter charts also have `points`, whose labels are placed by a script of the report.

    Args:
        asked: the names of the metrics that the decision uses.
        winner: the recommended job.
    """
    return [
        *_trade_offs(rows, asked, winner),
        *_times(rows, winner),
        *_by_job(rows, "Answers", winner),
        *_by_job(rows, "Scores", winner),
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
def _trade_offs(rows: Sequence[Row], asked: Sequence[str], winner: Row | None) -> Iterator[dict[str, Any]]:
    quality = quality_of(rows, asked)
    if quality is None:
        return
    measured_on = Counter(row.measured_on for row in rows).most_common(1)[0][0]
    group = "Speed and memory against quality"
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
        data = [
            {**_named(row, winner), "x": row.metrics[metric.name], "y": row.metrics[quality.name], "front": at in front}
            for at, row in enumerate(known)
        ]
        for one in data:
            if one["front"] and one["state"] == OTHER:
                one["state"] = FRONT
        drawn = [
            {name: one[name] for name in ("job", "short", "state", "x", "y")}
            | {"labelled": len(data) <= MOST_LABELS or one["state"] != OTHER}
            for one in data
        ]
        yield {
            "group": group,
            "title": f"{_capitalized(metric.title)} and {quality.title}",
            "says": "Up and to the right is better. On the Pareto front (no other job is at least as good in both and "
            f"better in one): {job_list([known[at].entry.name for at in front])}."
            + notes
            + _scale_notes(metric, quality),
            "spec": scatter(data, metric, quality),
            "points": drawn,
        }


def front_of(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the Pareto-optimal points; in both coordinates, higher is better."""
    return [
        at for at, one in enumerate(points) if not any(a >= one[0] and b >= one[1] and (a, b) != one for a, b in points)
    ]


# ---------------------------------------------------------------- one line per job
def _times(rows: Sequence[Row], winner: Row | None) -> Iterator[dict[str, Any]]:
    for metric in _in_chart("Times"):
        known = [row for row in rows if metric.timing in row.quantiles]
        data = [
            _named(row, winner) | dict(zip(PERCENTS, row.quantiles[metric.timing], strict=True))
            for row in _first(known, winner)
        ]
        if data:
            yield {
                "group": "Times",
                "title": metric.title,
                "says": "Line in the box: median. Box: 25th to 75th percentile. Whiskers: 5th to 95th percentile."
                + _left(known),
                "spec": boxes(data, metric),
            }


def _by_job(rows: Sequence[Row], group: Chart, winner: Row | None) -> Iterator[dict[str, Any]]:
    for metric in _in_chart(group):
        known = [row for row in rows if _is_known(row, metric)]
        if len(known) < 2 or (group == "Answers" and not _tells_apart(rows, metric)):
            continue
        data = [
            {**_named(row, winner), "x": row.metrics[metric.name], **_error(row, metric)}
            for row in _first(known, winner)
        ]
        better = "Higher" if metric.is_higher_better else "Lower"
        error = " Error bars: one standard error in each direction." if any("low" in one for one in data) else ""
        yield {
            "group": group,
            "title": _capitalized(metric.title),
            "says": f"{better} is better.{error}{_scale_notes(metric)}{_left(known)}",
            "spec": points(data, metric),
        }


def _first(known: Sequence[Row], winner: Row | None) -> list[Row]:
    """Return the first MOST rows; if the recommended one is not among them, it replaces the last."""
    shown = list(known[:MOST])
    later = [row for row in known[MOST:] if row is winner]
    return [*shown[: MOST - len(later)], *later]


def _error(row: Row, metric: Metric) -> dict[str, float]:
    value, error = row.metrics[metric.name], row.metrics.get(metric.error_name)
    return {"low": value - error, "high": value + error} if value is not None and error else {}


# ---------------------------------------------------------------- captions and labels
def _scale_notes(*metrics: Metric) -> str:
    """Return notes about axes that do not start at 0 or are not linear."""
    notes = [
        f" The axis of {one.title} {'is logarithmic' if one.is_logarithmic else f'starts at {one.floor:g}'}."
        for one in metrics
        if one.is_logarithmic or one.floor
    ]
    return "".join(notes)


def _capitalized(title: str) -> str:
    return title.capitalize() if title.islower() else title


def _named(row: Row, winner: Row | None) -> dict[str, Any]:
    values = ", ".join(row.axes.values())
    short = f"{row.entry.name}: {values}" if values else row.entry.name
    is_winner = row is winner
    return {
        "job": row.entry.name,
        "label": row.label,
        "short": f"★ {short}" if is_winner else short,
        "state": RECOMMENDED if is_winner else OTHER,
    }


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
