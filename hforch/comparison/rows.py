"""The rows of a comparison, one per job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hforch.comparison.divergent_tokens import DivergentToken
from hforch.comparison.drift import Pair
from hforch.comparison.entries import Entry
from hforch.metrics.registry import BY_NAME, COMPARED
from hforch.records.evidence import Evidence
from hforch.statistics.estimates import Estimate

NOISE = 0.10  # largest accepted relative change of the time of a model's first batch while it is loaded
ABSENT = {
    "memory": {metric.name for metric in COMPARED if metric.section == "memory" or metric.kind == "energy"},
    "logits": {metric.name for metric in COMPARED if metric.is_score},
}
"""Metrics that are not available if the backend lacks this; without `memory`, the model runs on another machine."""

WITH_BASELINE = {one.name for one in COMPARED if one.needs_baseline}
"""Metrics that compare a job with its baseline."""


@dataclass
class Row:
    """A job in a comparison.

    Attributes:
        axes: the settings that differ between jobs, by name.
        metrics: values and standard errors by name; None if not available.
        quantiles: percentiles (QUANTILES) of each sample timing, in milliseconds.
        spread: the lowest and highest tokens_per_s of the repeats.
        evidence: what its inputs and rounds contribute to its metrics.
        estimates: for each metric that has a value, its confidence interval, or the reason why it has none.
        measured_on: the machine, and whether other jobs ran in parallel.
        baseline: the name of the job that its outputs are compared with.
        worst: the samples that differ earliest from those of the baseline.
        incomparable: why outputs and scores cannot be compared with those of the baseline; None if they can.
        divergent_tokens: the positions where next-token distributions differ most from those of the baseline.
    """

    entry: Entry
    axes: dict[str, str]
    metrics: dict[str, float | None]
    measured_on: tuple[str, bool]
    quantiles: dict[str, list[float]] = field(default_factory=dict)
    spread: tuple[float, float] | None = None
    evidence: Evidence = field(default_factory=Evidence)
    estimates: dict[str, Estimate] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unit: str = "tokens"
    baseline: str | None = None
    checks: tuple[int, int] | None = None
    worst: list[Pair] = field(default_factory=list)
    divergent_tokens: list[DivergentToken] = field(default_factory=list)
    incomparable: str | None = None

    def __repr__(self) -> str:
        values = {name: value for name, value in self.metrics.items() if value is not None}
        return f"Row({self.title!r}, metrics={values}, directory={str(self.entry.directory)!r})"

    @property
    def label(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.axes.items()) or self.entry.name

    @property
    def shared(self) -> str | None:
        """Why the job counts as measured on a shared GPU; None if it does not."""
        reason = self.entry.record.get("shared_accelerator")
        return str(reason) if reason else None

    def lacks(self, metric: str) -> str | None:
        """Return why the job cannot have a metric; None if it can."""
        if self.incomparable and metric in WITH_BASELINE:
            return self.incomparable
        reasons = self.entry.record.get("absent") or {}
        return next((why for name, why in reasons.items() if metric in ABSENT.get(name, ())), None)

    def can_rank(self, metric: str) -> bool:
        """Return whether a metric may be compared with requirements and other jobs."""
        return self.shared is None or not BY_NAME[metric].is_lost_on_shared_gpu

    @property
    def counts_packages(self) -> bool:
        """Whether its energy includes the CPU packages; in older records, it covers only GPUs."""
        counted = (self.entry.record.get("metrics") or {}).get("energy_of") or ()
        return any(str(name).startswith("package") for name in counted)

    @property
    def is_noisy(self) -> bool:
        """Whether the time of its model's first batch changed by more than NOISE while the model was loaded."""
        return self.entry.noise is not None and abs(self.entry.noise) > NOISE

    @property
    def took_turns(self) -> bool:
        """Whether the job was measured in several rounds, in turns with the other jobs of its sweep."""
        return bool(self.entry.record.get("interleaved")) and len(self.entry.record.get("rounds") or ()) > 1

    @property
    def title(self) -> str:
        """The job's name and label."""
        return f"{self.entry.name} ({self.label})" if self.axes else self.entry.name


def number_of_inputs(record: Mapping[str, Any]) -> int:
    """Return the number of inputs of a job, or of its samples if the record has no batch plan."""
    planned = {one for batch in record.get("plan") or [] for one in batch}
    return len(planned) or int((record.get("totals") or {}).get("planned") or 0)
