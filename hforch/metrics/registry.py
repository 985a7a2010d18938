"""All metrics, collected from the modules of `hforch/metrics/catalog/`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import get_args

from hforch.metrics import catalog
from hforch.metrics.metric import Kind, Metric


def _found() -> Iterator[Metric]:
    for module in sorted(one.name for one in iter_modules(catalog.__path__)):
        yield from import_module(f"{catalog.__name__}.{module}").METRICS


def _order(metric: Metric) -> tuple[bool, int]:
    return not metric.is_main, get_args(Kind).index(metric.kind)


_LISTED = tuple(_found())
ALL: tuple[Metric, ...] = tuple(sorted(_LISTED, key=_order))
"""All metrics: main metrics first, then the others, each ordered by kind and module."""

COMPARED = tuple(metric for metric in ALL if metric.is_compared)
TIMINGS = tuple(dict.fromkeys(metric.timing for metric in ALL if metric.timing))
"""The timings of a sample that metrics aggregate, in milliseconds."""

SCORES = tuple(one for one in _LISTED if one.is_score)
AGAINST_BASELINE = tuple(one for one in SCORES if one.section is not None and one.needs_baseline)
ON_TEXT = tuple(one for one in SCORES if one.section is not None and not one.needs_baseline)
"""The metrics of the two parts of scoring, as in records."""

BY_NAME = {metric.name: metric for metric in ALL}
_ALIASES = {alias: metric for metric in ALL for alias in metric.aliases}


def find(name: str) -> Metric | None:
    """Return the compared metric with this current or former name, or None."""
    metric = BY_NAME.get(name) or _ALIASES.get(name)
    return metric if metric is not None and metric.is_compared else None


def names() -> tuple[str, ...]:
    """Return the names of the metrics that `--require` and `--optimize` accept."""
    return tuple(metric.name for metric in COMPARED)
