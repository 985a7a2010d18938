"""Generate the metric tables in docs/metrics.md: `python -m hforch.metrics.docs docs/metrics.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from hforch.metrics.metric import Metric
from hforch.metrics.registry import AGAINST_BASELINE, ALL, COMPARED, ON_TEXT
from hforch.utils.markdown import table, with_tables


def tables() -> dict[str, str]:
    """Return each table as Markdown, by the name in its marker."""
    scored = (*AGAINST_BASELINE, *ON_TEXT)
    of_samples = [one for one in ALL if one.timing == one.name]
    of_jobs = [one for one in ALL if one.section is not None and one not in scored]
    of_comparisons = [one for one in ALL if one.section is None]
    return {
        "samples": table(("name", "definition"), ([_name(one), _defined(one.definition, one)] for one in of_samples)),
        "jobs": table(("name", "section", "definition"), map(_of_job, of_jobs)),
        "comparison": table(("name", "better", "definition"), map(_of_comparison, of_comparisons)),
        "compared": table(("name", "title", "unit", "better", "kind", "former name"), map(_listed, COMPARED)),
        "against_baseline": table(("name", "better", "definition"), map(_of_comparison, AGAINST_BASELINE)),
        "on_text": table(("name", "better", "definition"), map(_of_comparison, ON_TEXT)),
    }


def rewritten(text: str) -> str:
    """Replace the tables between the markers of a page.

    Raises:
        KeyError: a marker has an unknown name.
    """
    return with_tables(text, "metrics", tables())


def _of_job(metric: Metric) -> list[str]:
    where = f"`{metric.section}`" if metric.section else "top level"
    definition = f"{metric.aggregate} over the samples" if metric.timing else metric.definition
    if metric.timing and metric.aggregate != "median":
        definition = f"95th percentile of `{metric.timing}` over the samples, by linear interpolation between ranks"
    return [_name(metric), where, _defined(definition, metric) if not metric.timing else definition]


def _of_comparison(metric: Metric) -> list[str]:
    return [_name(metric), metric.better, _defined(metric.definition, metric)]


def _listed(metric: Metric) -> list[str]:
    unit = "fraction, shown in %" if metric.unit == "%" else "fraction" if metric.is_share else metric.unit
    return [
        _name(metric),
        metric.title,
        unit,
        metric.better,
        metric.kind,
        ", ".join(f"`{one}`" for one in metric.aliases),
    ]


def _name(metric: Metric) -> str:
    return f"`{metric.name}`"


def _defined(definition: str, metric: Metric) -> str:
    return f"{definition} ({metric.source})" if metric.source else definition


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")
