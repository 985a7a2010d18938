"""Vega-Lite specifications of the report's charts.

Text, axes and lines use the text color of the report, so they work in light and dark mode. Marks have different shapes
and also different colors (from the palette of Okabe and Ito). Linear axes start at the smallest possible value of a
metric, so that the distance of points shows their relative difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hforch.metrics.metric import Metric

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
FRONT, OTHER = "Pareto set", "other"
STAR = "M0.00,-1.55L0.36,-0.50L1.47,-0.48L0.59,0.19L0.91,1.26L0.00,0.62L-0.91,1.26L-0.59,0.19L-1.47,-0.48L-0.36,-0.50Z"
STATES = {
    "recommended": (GREEN, STAR),
    "tie": (GREEN, "square"),
    "undecided": (PURPLE, "triangle-up"),
    FRONT: (ORANGE, "diamond"),
    OTHER: (BLUE, "circle"),
}
"""The color and shape of each kind of point, in the order of the legend; jobs that tie share a color."""

PERCENTS = ("p5", "p25", "p50", "p75", "p95")  # the QUANTILES of the comparison
APART: dict[str, Any] = {
    "labelOverlap": True,
    "labelSeparation": 4,
}  # of the labels of an axis; 4 px for fonts wider than expected
RULE: dict[str, Any] = {"color": "currentColor", "strokeWidth": 2, "opacity": 0.6}  # of intervals
SMALL = 1e-3  # logarithmic axes are linear below this value, so that they can show 0


def scatter(data: list[dict[str, Any]], x: Metric, y: Metric) -> dict[str, Any]:
    """Return a chart of `x` and `y` of each job, with their intervals, and a line through those at the front (`front`).

    Args:
        data: for each job, also the ends of its intervals as the chart shows them (`x_low`, `x_high`, `y_low`,
            `y_high`), if there are any, and their texts (`x_interval`, `y_interval`).
    """
    import altair as alt

    data = sorted(data, key=lambda one: list(STATES).index(one["state"]), reverse=True)  # the last one is drawn on top
    axis = alt.Axis(tickCount=8, labelFlush=12, **APART)
    across = alt.X("x:Q", title=_axis_title(x), scale=_scale(x, _ends(data, "x"), is_free=True), axis=axis)
    up = alt.Y("y:Q", title=_axis_title(y), scale=_scale(y, _ends(data, "y"), is_free=True), axis=_axis(y))
    base = alt.Chart(alt.Data(values=data)).encode(x=across, y=up)
    front = base.transform_filter("datum.front").mark_line(
        strokeDash=[5, 4], color=ORANGE, interpolate="step-after" if x.is_higher_better else "step-before"
    )
    marks = base.mark_point(size=110, filled=True, opacity=1).encode(
        **_marked(data), tooltip=["job:N", "label:N", *_tooltips("x", x, data), *_tooltips("y", y, data)]
    )
    rules = [
        alt.Chart(alt.Data(values=known)).mark_rule(**(RULE | {"strokeWidth": 1})).encode(**encoding)
        for axis, encoding in {
            "x": {"x": "x_low:Q", "x2": "x_high:Q", "y": up},
            "y": {"y": "y_low:Q", "y2": "y_high:Q", "x": across},
        }.items()
        if (known := [one for one in data if f"{axis}_low" in one])
    ]
    return _spec(alt.layer(*rules, front.encode(order="x:Q"), marks), height=300)


def boxes(data: list[dict[str, Any]], metric: Metric) -> dict[str, Any]:
    """Return a chart with a box of percentiles for each job."""
    import altair as alt

    tooltip: list[Any] = [
        "job:N",
        "label:N",
        *(alt.Tooltip(f"{one}:Q", title=f"{one} {metric.unit}", format=",.1f") for one in ("p5", "p50", "p95")),
        *_tooltips("x", metric, data)[1:],
    ]
    base = alt.Chart(alt.Data(values=data)).encode(y=_jobs(data), tooltip=tooltip)
    scale, axis = _scale(metric, [one["p95"] for one in data]), alt.Axis(**APART)
    across = alt.X("p5:Q", title=f"{metric.title}, {metric.unit}", scale=scale, axis=axis)
    whole = base.mark_rule(color="currentColor").encode(x=across, x2="p95:Q")
    half = base.mark_bar(size=11).encode(x="p25:Q", x2="p75:Q", color=_marked(data)["color"])
    middle = base.mark_tick(size=17, thickness=3, color="currentColor").encode(x="p50:Q")
    return _spec(alt.layer(whole, half, middle), jobs=len(data))


def points(data: list[dict[str, Any]], metric: Metric) -> dict[str, Any]:
    """Return a chart with a point for each job, and its interval (`x_low`, `x_high`) if it has one."""
    import altair as alt

    across = alt.X("x:Q", title=_axis_title(metric), scale=_scale(metric, _ends(data, "x")), axis=_axis(metric))
    told = {"y": _jobs(data), "tooltip": ["job:N", "label:N", *_tooltips("x", metric, data)]}
    layers = [alt.Chart().encode(x=across, **told, **_marked(data)).mark_point(size=90, filled=True, opacity=1)]
    if known := [one for one in data if "x_low" in one]:
        intervals = alt.Chart(alt.Data(values=known)).encode(x="x_low:Q", x2="x_high:Q", **told)
        layers.insert(0, intervals.mark_rule(**RULE))
    return _spec(alt.layer(*layers, data=alt.Data(values=data)), jobs=len(data))


# ---------------------------------------------------------------- shared parts
def _marked(data: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the encodings of `state`, with a legend if there are different ones."""
    import altair as alt

    there = {one["state"] for one in data}
    states = {state: mark for state, mark in STATES.items() if state in there}
    colors, shapes = zip(*states.values(), strict=True)
    legend = alt.Legend(orient="top", title=None) if len(states) > 1 else None
    scales = {"color": (alt.Color, colors), "shape": (alt.Shape, shapes)}
    return {
        name: encoding("state:N", scale=alt.Scale(domain=list(states), range=list(marks)), legend=legend)
        for name, (encoding, marks) in scales.items()
    }


def _scale(metric: Metric, values: Sequence[float], is_free: bool = False) -> Any:
    """Return the scale of an axis.

    Args:
        is_free: whether the points have positions in two dimensions; better values are then up or right, and points at
            the ends keep a distance from the axes.
    """
    import altair as alt

    own: dict[str, Any] = {"padding": 14, "reverse": not metric.is_higher_better} if is_free else {}
    if metric.is_logarithmic:
        return alt.Scale(type="symlog", constant=SMALL, zero=True, **own)
    low, high = min(metric.floor, *values), max(values)
    top = 1.0 if metric.is_share and high <= 1 else high + 0.05 * (high - low)
    return alt.Scale(domain=[low, top if top > low else low + 1.0], nice=False, **own)


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
    whole = whole.configure_legend(labelColor="currentColor")
    spec: dict[str, Any] = whole.configure_view(stroke=None).to_dict()
    spec.pop("$schema", None)
    return spec


def _jobs(data: Sequence[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Y(
        "short:N",
        sort=[one["short"] for one in data],
        title=None,
        axis=alt.Axis(domain=False, ticks=False, grid=False, labelPadding=10),
    )


def _ends(data: Sequence[dict[str, Any]], axis: str) -> list[float]:
    """Return the values of an axis, with the ends of their intervals."""
    return [one[name] for one in data for name in (axis, f"{axis}_low", f"{axis}_high") if name in one]


def _axis(metric: Metric) -> Any:
    import altair as alt

    if metric.is_logarithmic:
        ticks = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]
        return alt.Axis(values=ticks, format="~r", **APART)
    if metric.unit == "%":
        return alt.Axis(format="~%", tickCount=6, **APART)
    return alt.Axis(format="~s" if metric.unit == "MB" else "~r", tickCount=6, **APART)


def _axis_title(metric: Metric) -> str:
    unit = f", {metric.unit}" if metric.unit not in ("", "%") else ""
    return f"{metric.title}{unit} ({'higher' if metric.is_higher_better else 'lower'} is better)"


def _tooltips(field: str, metric: Metric, data: Sequence[dict[str, Any]]) -> list[Any]:
    """Return the lines of a tooltip for the value and the interval of a metric."""
    import altair as alt

    form = f".{metric.digits}%" if metric.unit == "%" else f",.{metric.digits}f"
    unit = f", {metric.unit}" if metric.unit not in ("", "%") else ""
    value = alt.Tooltip(f"{field}:Q", title=f"{metric.title}{unit}", format=form)
    named = f"interval of {metric.title}"
    has_any = any(one.get(f"{field}_interval") for one in data)
    return [value, alt.Tooltip(f"{field}_interval:N", title=named)] if has_any else [value]
