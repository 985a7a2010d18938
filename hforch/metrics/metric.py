"""A metric: its name, what it means, where its value comes from, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Level = Literal["sample", "job", "baseline"]
"""sample: a timing of each sample, aggregated. job: a value of the whole job. baseline: how far a job is from it."""

Kind = Literal["speed", "memory", "energy", "failure", "quality"]
Direction = Literal["higher", "lower"]
Aggregate = Literal["median", "p95"]
Chart = Literal["Times", "Answers", "Scores"]

AGGREGATES: Mapping[Aggregate, str] = {"median": "median over the samples", "p95": "95th percentile over the samples"}


class Absent(Exception):
    """A metric cannot be computed; the message is the reason that the record gives."""


@dataclass(frozen=True)
class Measured:
    """What metrics are computed from when a job has been measured.

    Attributes:
        record: the record so far.
        samples: the job's samples; of each at least `error`, `prompt_tokens` and `output_tokens`.
        folder: where the weights were loaded from; None for a backend without weights.
    """

    record: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]
    folder: Path | None


def is_on_cpu(devices: Sequence[str]) -> bool:
    """Return whether a job's devices, as in its record, are the CPU and no other."""
    return bool(devices) and all(str(device).upper().startswith("CPU") for device in devices)


@dataclass(frozen=True)
class Metric:
    """One metric. A new one is an entry in a module of `hforch/metrics/catalog/`.

    Attributes:
        name: as in records, in CSV, and for `--require` and `--optimize`.
        title: as on the page.
        unit: `%` for a share that is shown in percent; empty for a plain number.
        digits: digits shown behind the point.
        better: whether higher or lower values are better.
        definition: one sentence, without the aggregate.
        source: who defined it, or a reference for the definition.
        section: the part of record.json that holds the value, such as `metrics`; empty for the top; None where it is
            not in the record but computed by a comparison.
        timing: the timing of a sample that it aggregates, for the level `sample`.
        compute: computes it from a measured job, or raises Absent; for what the runner does not measure itself.
        is_share: whether values are 0 to 1, so that bounds may be percentages and must lie there.
        aliases: earlier names, which `--require`, `--optimize` and older records may have.
        is_score: whether it is from reading given tokens (group `scoring`).
        has_error: whether `NAME_se` is its standard error.
        is_compared: whether it is in comparisons; otherwise it is only in records.
        needs_idle_gpu: whether it means nothing if others used the job's GPU; None: if it is speed or energy.
        is_main: whether it comes first on the page and in tables.
        column: its header in tables; by default title and unit.
        has_column: whether it has a column of its own in tables.
        summary: how the line at the end of a run says it, such as `{value} tokens/s`; empty: not there.
        in_pareto: whether the Pareto set is over it, and others.
        chart: the group of charts that shows it for each job.
        quality_rank: its place (1 is first) among those that may be the quality axis of charts; 0: it may not.
        is_logarithmic: whether charts have a logarithmic axis for it.
        value_for_baseline: the value of a baseline compared with itself; None where a comparison does not set it.
        infinite_if_exact: whether it is absent where all answers match exactly, and then meets any lower bound.
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
    value_for_baseline: float | None = None
    infinite_if_exact: bool = False

    @property
    def is_higher_better(self) -> bool:
        return self.better == "higher"

    @property
    def needs_baseline(self) -> bool:
        return self.level == "baseline"

    @property
    def is_lost_on_shared_gpu(self) -> bool:
        """Whether it may not be ranked if others used the job's GPU at the same time."""
        return self.kind in ("speed", "energy") if self.needs_idle_gpu is None else self.needs_idle_gpu

    @property
    def error_name(self) -> str:
        return f"{self.name}_se"

    @property
    def header(self) -> str:
        unit = "" if self.unit == "%" else self.unit
        return self.column or f"{self.title} {unit}".rstrip()

    @property
    def meaning(self) -> str:
        """The definition, with the aggregate of a timing."""
        return f"{self.definition}; {AGGREGATES[self.aggregate]}" if self.timing else self.definition

    def goodness(self, value: float) -> float:
        """Return the value such that more is better."""
        return value if self.is_higher_better else -value

    def shown(self, value: float) -> str:
        """Return the value as tables show it."""
        return f"{value:.{self.digits}{'%' if self.unit == '%' else 'f'}}"

    def read(self, record: Mapping[str, Any]) -> float | None:
        """Return the value in a record, under an earlier name if it is an old one; None if there is none."""
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
