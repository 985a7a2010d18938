"""The charts of the report as Vega-Lite specifications: speed and memory against quality, times, answers, scores.

Text, axes and lines use the text color of the report, so they work in light and dark mode. Marks have different shapes
and labels, and also different colors (from the palette of Okabe and Ito).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hforch.comparison.rows import Row
from hforch.metrics.metric import Chart, Metric
from hforch.metrics.registry import COMPARED

MOST = 60  # maximum number of jobs in a chart with one line per job
MOST_LABELS = 24  # with more points, only those on the Pareto front have labels
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
QUALITIES = sorted((one for one in COMPARED if one.quality_rank), key=lambda one: one.quality_rank)
COSTS = [one for one in COMPARED if one.in_pareto and one.kind in ("speed", "memory")]
PERCENTS = ("p5", "p25", "p50", "p75", "p95")  # the QUANTILES of the comparison
SMALL = 1e-3  # logarithmic axes are linear below this value, so that they can show 0


def charts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return `group`, `title`, `says` (the caption) and `spec` of each chart that has data."""
    return [
        *_trade_offs(rows),
        *_times(rows),
        *_by_job(rows, "Answers"),
        *_by_job(rows, "Scores"),
    ]


def _in_chart(chart: Chart) -> list[Metric]:
    return [metric for metric in COMPARED if metric.chart == chart]


# ---------------------------------------------------------------- speed and memory against quality
def _trade_offs(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    quality = next((metric for metric in QUALITIES if _tells_apart(rows, metric)), None)
    if quality is None:
        return
    measured_on = Counter(row.measured_on for row in rows).most_common(1)[0][0]
    group = "Speed and memory against quality"
    for metric in COSTS:
        known = [row for row in rows if _is_known(row, metric) and _is_known(row, quality)]
        if metric.kind == "speed":
            # Speeds of different machines or of a shared GPU are not comparable.
            known = [row for row in known if row.measured_on == measured_on and row.can_rank(metric.name)]
        if len(known) < 2:
            continue
        front = front_of([(_good(row, metric), _good(row, quality)) for row in known])
        data = [
            {**_named(row), "x": row.metrics[metric.name], "y": row.metrics[quality.name], "front": at in front}
            for at, row in enumerate(known)
        ]
        best = f"job{'s' * (len(front) > 1)} {', '.join(known[at].entry.name for at in front)}"
        yield {
            "group": group,
            "title": f"{_capitalized(metric.title)} and {quality.title}",
            "says": "Up and to the right is better. On the Pareto front (no other job is at least as good in both and "
            f"better in one): {best}.",
            "spec": _scatter(data, metric, quality),
        }


def front_of(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the Pareto-optimal points; in both coordinates, higher is better."""
    return [
        at for at, one in enumerate(points) if not any(a >= one[0] and b >= one[1] and (a, b) != one for a, b in points)
    ]


def _scatter(data: list[dict[str, Any]], x: Metric, y: Metric) -> dict[str, Any]:
    import altair as alt

    kind = {"type": "symlog", "constant": SMALL} if y.is_logarithmic else {"zero": False, "padding": 12}
    room = alt.Scale(domain=_around([one["x"] for one in data]), nice=False, reverse=not x.is_higher_better)
    across = alt.X("x:Q", title=_axis_title(x), scale=room)
    up = alt.Y("y:Q", title=_axis_title(y), scale=alt.Scale(**kind, reverse=not y.is_higher_better), axis=_axis(y))
    tooltip = ["job:N", "label:N", _tooltip("x", x), _tooltip("y", y)]
    base = alt.Chart(alt.Data(values=data)).encode(x=across, y=up)
    front = base.transform_filter("datum.front").mark_line(
        strokeDash=[5, 4], color=ORANGE, interpolate="step-after" if x.is_higher_better else "step-before"
    )
    points = base.mark_point(size=110, filled=True, opacity=1).encode(
        shape=alt.Shape("front:N", scale=alt.Scale(domain=[True, False], range=["diamond", "circle"]), legend=None),
        color=alt.Color("front:N", scale=alt.Scale(domain=[True, False], range=[ORANGE, BLUE]), legend=None),
        tooltip=tooltip,
    )
    labelled = base if len(data) <= MOST_LABELS else base.transform_filter("datum.front")
    names = labelled.mark_text(dy=-13, limit=170, color="currentColor").encode(text="short:N", tooltip=tooltip)
    return _spec(alt.layer(front.encode(order="x:Q"), points, names), height=300)


def _around(values: Sequence[float]) -> list[float]:
    """Return an axis domain with space for labels at both ends, not below 0."""
    low, high = min(values), max(values)
    room = 0.18 * (high - low) or 0.1 * high or 1.0
    return [max(0.0, low - room), high + room]


# ---------------------------------------------------------------- one line per job
def _times(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for metric in _in_chart("Times"):
        known = [row for row in rows if metric.timing in row.quantiles]
        data = [_named(row) | dict(zip(PERCENTS, row.quantiles[metric.timing], strict=True)) for row in known[:MOST]]
        if data:
            yield {
                "group": "Times",
                "title": metric.title,
                "says": "Line in the box: median. Box: 25th to 75th percentile. Whiskers: 5th to 95th percentile."
                + _left(known),
                "spec": _boxes(data, metric),
            }


def _boxes(data: list[dict[str, Any]], metric: Metric) -> dict[str, Any]:
    import altair as alt

    tooltip: list[Any] = [
        "job:N",
        "label:N",
        *(alt.Tooltip(f"{one}:Q", title=f"{one} {metric.unit}", format=",.1f") for one in ("p5", "p50", "p95")),
    ]
    base = alt.Chart(alt.Data(values=data)).encode(y=_jobs(), tooltip=tooltip)
    across = alt.X("p5:Q", title=f"{metric.title}, {metric.unit}", scale=alt.Scale(zero=True))
    whole = base.mark_rule(color="currentColor").encode(x=across, x2="p95:Q")
    half = base.mark_bar(size=11, color=BLUE).encode(x="p25:Q", x2="p75:Q")
    middle = base.mark_tick(size=17, thickness=3, color="currentColor").encode(x="p50:Q")
    return _spec(alt.layer(whole, half, middle), jobs=len(data))


def _by_job(rows: Sequence[Row], group: Chart) -> Iterator[dict[str, Any]]:
    for metric in _in_chart(group):
        known = [row for row in rows if _is_known(row, metric)]
        if len(known) < 2 or (group == "Answers" and not _tells_apart(rows, metric)):
            continue
        data = [{**_named(row), "x": row.metrics[metric.name], **_error(row, metric)} for row in known[:MOST]]
        better = "Higher" if metric.is_higher_better else "Lower"
        error = " Error bars: one standard error in each direction." if any("low" in one for one in data) else ""
        yield {
            "group": group,
            "title": _capitalized(metric.title),
            "says": f"{better} is better.{error}{_left(known)}",
            "spec": _points(data, metric),
        }


def _capitalized(title: str) -> str:
    return title.capitalize() if title.islower() else title


def _error(row: Row, metric: Metric) -> dict[str, float]:
    value, error = row.metrics[metric.name], row.metrics.get(metric.error_name)
    return {"low": value - error, "high": value + error} if value is not None and error else {}


def _points(data: list[dict[str, Any]], metric: Metric) -> dict[str, Any]:
    import altair as alt

    scale = (
        alt.Scale(type="symlog", constant=SMALL)
        if metric.is_logarithmic
        else alt.Scale(zero=metric.unit == "%", nice=True)
    )
    across = alt.X("x:Q", title=_axis_title(metric), scale=scale, axis=_axis(metric))
    told = {"y": _jobs(), "tooltip": ["job:N", "label:N", _tooltip("x", metric)]}
    layers = [alt.Chart().encode(x=across, **told).mark_point(size=90, filled=True, opacity=1, color=BLUE)]
    if known := [one for one in data if "low" in one]:
        errors = alt.Chart(alt.Data(values=known)).encode(x="low:Q", x2="high:Q", **told)
        layers.append(errors.mark_rule(color="currentColor", strokeWidth=2))
    return _spec(alt.layer(*layers, data=alt.Data(values=data)), jobs=len(data))


# ---------------------------------------------------------------- shared parts
def _spec(chart: Any, height: int | None = None, jobs: int = 0) -> dict[str, Any]:
    plain = {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "domainColor": "currentColor",
        "tickColor": "currentColor",
    }
    whole = chart.properties(width="container", height=height or 18 * max(jobs, 2) + 12, background="transparent")
    whole = whole.configure_axis(
        **plain, gridColor="currentColor", gridOpacity=0.15, labelLimit=200, titleFontWeight="normal"
    )
    spec: dict[str, Any] = whole.configure_view(stroke=None).to_dict()
    spec.pop("$schema", None)
    return spec


def _jobs() -> Any:
    import altair as alt

    return alt.Y(
        "short:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False, grid=False, labelPadding=10)
    )


def _axis(metric: Metric) -> Any:
    import altair as alt

    if metric.is_logarithmic:
        return alt.Axis(values=[0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10], format="~r", labelOverlap=True)
    if metric.unit == "%":
        return alt.Axis(format="~%")
    return alt.Axis(format="~s" if metric.unit == "MB" else "~r", tickCount=6)


def _axis_title(metric: Metric) -> str:
    unit = f", {metric.unit}" if metric.unit not in ("", "%") else ""
    return f"{metric.title}{unit} ({'higher' if metric.is_higher_better else 'lower'} is better)"


def _tooltip(field: str, metric: Metric) -> Any:
    import altair as alt

    form = f".{metric.digits}%" if metric.unit == "%" else f",.{metric.digits}f"
    unit = f", {metric.unit}" if metric.unit not in ("", "%") else ""
    return alt.Tooltip(f"{field}:Q", title=f"{metric.title}{unit}", format=form)


def _named(row: Row) -> dict[str, str]:
    values = ", ".join(row.axes.values())
    short = f"{row.entry.name}: {values}" if values else row.entry.name
    return {"job": row.entry.name, "label": row.label, "short": short}


def _left(known: Sequence[Row]) -> str:
    return f" Showing the first {MOST} of {len(known)} jobs." if len(known) > MOST else ""


def _is_known(row: Row, metric: Metric) -> bool:
    return row.metrics.get(metric.name) is not None


def _tells_apart(rows: Sequence[Row], metric: Metric) -> bool:
    return len({row.metrics[metric.name] for row in rows if _is_known(row, metric)}) > 1


def _good(row: Row, metric: Metric) -> float:
    value = row.metrics[metric.name]
    assert value is not None
    return metric.goodness(value)
