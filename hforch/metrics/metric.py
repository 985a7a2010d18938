"""The description of a metric: its name, definition, source of values, and presentation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

Level = Literal["sample", "job", "baseline"]
"""sample: an aggregated timing of samples. job: a value of a whole job. baseline: a difference from the baseline."""

Kind = Literal["speed", "memory", "energy", "failure", "quality"]
Direction = Literal["higher", "lower"]
Aggregate = Literal["median", "p95"]
Chart = Literal["Times", "Answers", "Scores"]

AGGREGATES: Mapping[Aggregate, str] = {"median": "median over the samples", "p95": "95th percentile over the samples"}


class Absent(Exception):
    """A metric cannot be computed; the message is recorded as the reason."""


@dataclass(frozen=True)
class Measured:
    """A measured job, from which metrics are computed.

    Attributes:
        record: the record so far.
        samples: the job's samples, each with at least `error`, `prompt_tokens` and `output_tokens`.
        folder: the directory from which the weights were loaded; None for a backend without weights.
    """

    record: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]
    folder: Path | None


def is_on_cpu(devices: Sequence[str]) -> bool:
    """Return whether the CPU is the only device in a job's record."""
    return bool(devices) and all(str(device).upper().startswith("CPU") for device in devices)


@dataclass(frozen=True)
class Metric:
    """A metric. To add one, add an entry to a module of `hforch/metrics/catalog/`.

    Attributes:
        name: the name in records and CSV, and for `--require` and `--optimize`.
        title: the name in the HTML report.
        unit: `%` for a fraction that is shown as a percentage; empty for a number without a unit.
        digits: digits shown after the decimal point.
        better: whether higher or lower values are better.
        level: what a value describes: a sample, a job, or the difference of a job from its baseline.
        kind: the subject, by which metrics are ordered and grouped.
        definition: one sentence, without the aggregate.
        source: the origin of the definition, or a reference.
        section: the part of record.json with the value, such as `metrics`; empty for the top level; None if the value
            is not in the record but computed by a comparison.
        timing: for the level `sample`, the timing of a sample that it aggregates.
        aggregate: for the level `sample`, how the timing is aggregated over the samples.
        compute: computes the value from a measured job, or raises Absent; only if the runner does not measure it.
        is_share: whether values are fractions, 0 to 1; requirements may then be percentages, and must be in this range.
        aliases: former names, accepted by `--require` and `--optimize` and found in older records.
        keywords: words that users may type for it; a hint then names the metric.
        is_score: whether it is computed from the logits of given tokens (group `scoring`).
        has_error: whether it has a standard error, recorded as `NAME_se`.
        is_compared: whether it is in comparisons, and not only in records.
        needs_idle_gpu: whether it is invalid if other processes used the job's GPU; None: only for speed and energy.
        is_main: whether it comes first in the report and in tables.
        column: its header in tables; empty: title and unit.
        has_column: whether it has a column in tables.
        summary: its text in the last line of a run, such as `{value} tokens/s`; empty: omitted.
        in_pareto: whether it is an objective of the Pareto set.
        chart: the group of charts in which it is shown for each job; None: no chart.
        quality_rank: its rank (1 is first) among candidates for the quality axis of charts; 0: not a candidate.
        is_logarithmic: whether charts use a logarithmic axis for it.
        floor: the smallest possible value, at which linear axes of charts start.
        value_for_baseline: the value of a baseline compared with itself; None if not defined.
        ceiling: the largest possible value.
        without_interval: why no confidence interval of it is computed; empty if there may be one.
        infinite_if_exact: whether it is infinite (recorded as absent) if all answers match exactly, so that it meets
            any lower requirement.
    """

    name: str
    title: str
    unit: str
    digits: int
    better: Direction
    level: Level
    kind: Kind
    definition: str
    source: str = ""
    section: str | None = "metrics"
    timing: str = ""
    aggregate: Aggregate = "median"
    compute: Callable[[Measured], float] | None = None
    is_share: bool = False
    aliases: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    is_score: bool = False
    has_error: bool = False
    is_compared: bool = True
    needs_idle_gpu: bool | None = None
    is_main: bool = False
    column: str = ""
    has_column: bool = True
    summary: str = ""
    in_pareto: bool = False
    chart: Chart | None = None
    quality_rank: int = 0
    is_logarithmic: bool = False
    floor: float = 0.0
    value_for_baseline: float | None = None
    infinite_if_exact: bool = False
    ceiling: float = inf
    without_interval: str = ""

    @property
    def is_throughput(self) -> bool:
        """Whether it is a speed of the whole measured phase, which each round has."""
        return self.name == "tokens_per_s"

    def within_range(self, value: float) -> float:
        """Return the possible value that is nearest to a value."""
        return min(max(value, self.floor), 1.0 if self.is_share else self.ceiling)

    @property
    def is_higher_better(self) -> bool:
        return self.better == "higher"

    @property
    def needs_baseline(self) -> bool:
        return self.level == "baseline"

    @property
    def is_lost_on_shared_gpu(self) -> bool:
        """Whether its value is invalid if other processes used the job's GPU."""
        return self.kind in ("speed", "energy") if self.needs_idle_gpu is None else self.needs_idle_gpu

    @property
    def error_name(self) -> str:
        return f"{self.name}_se"

    @property
    def label(self) -> str:
        """The title with the unit of the values that `shown` returns."""
        return f"{self.title} {'' if self.unit == '%' else self.unit}".rstrip()

    @property
    def header(self) -> str:
        return self.column or self.label

    @property
    def spellings(self) -> tuple[str, ...]:
        """The names that `--require` and `--optimize` accept: its name, former names, header in tables, and title."""
        return tuple(dict.fromkeys((self.name, *self.aliases, self.header, self.title)))

    @property
    def meaning(self) -> str:
        """The definition, with the aggregate of a timing."""
        return f"{self.definition}; {AGGREGATES[self.aggregate]}" if self.timing else self.definition

    def goodness(self, value: float) -> float:
        """Return the value with the sign that makes higher better."""
        return value if self.is_higher_better else -value

    def shown(self, value: float) -> str:
        """Return the value as tables show it; halves are rounded up, as in the report."""
        if not isfinite(value):
            return str(value)
        percent = self.unit == "%"
        number = Decimal(repr(value)) * (100 if percent else 1)
        return f"{number.quantize(Decimal(1).scaleb(-self.digits), ROUND_HALF_UP)}{'%' if percent else ''}"

    def read(self, record: Mapping[str, Any]) -> float | None:
        """Return the value in a record, under the current or a former name, or None."""
        return self._read(record, self.name, *self.aliases)

    def read_error(self, record: Mapping[str, Any]) -> float | None:
        """Return the standard error in a record, or None."""
        return self._read(record, self.error_name, *(f"{alias}_se" for alias in self.aliases))

    def _read(self, record: Mapping[str, Any], *names: str) -> float | None:
        if self.section is None:
            return None
        values: Any = record
        for key in filter(None, self.section.split(".")):
            values = values.get(key) or {}
        return next((values[name] for name in names if values.get(name) is not None), None)
