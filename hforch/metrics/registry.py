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


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


_SPELLED = {_plain(name): metric for metric in reversed(COMPARED) for name in metric.spellings}


def find(name: str) -> Metric | None:
    """Return the compared metric with this current or former name, header in tables or title, or None."""
    metric = BY_NAME.get(name) or _SPELLED.get(_plain(name))
    return metric if metric is not None and metric.is_compared else None


def alike(name: str) -> list[Metric]:
    """Return the compared metrics that an unknown name probably means: those with this keyword, or the most similar."""
    from hforch.config.diagnose.suggestions import nearest

    word = _plain(name.replace("_", " "))
    by_keyword = [metric for metric in COMPARED if word in metric.keywords]
    closest = _SPELLED.get(nearest(_plain(name), _SPELLED) or "")
    return by_keyword or ([closest] if closest else [])


def names() -> tuple[str, ...]:
    """Return the names of the metrics that `--require` and `--optimize` accept."""
    return tuple(metric.name for metric in COMPARED)
