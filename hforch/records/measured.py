"""Parts of record.json that metrics are in, with a field for each metric of the registry, and what belongs to them."""

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, create_model

from hforch.metrics.metric import Metric
from hforch.metrics.registry import AGAINST_BASELINE, ALL, ON_TEXT
from hforch.records.fields import ABSENT, Count, Finite, Part, Reasons

Base = TypeVar("Base", bound=Part)


def with_metrics(name: str, base: type[Base], section: str) -> type[Base]:
    """Return a part with a field for each metric of a section of the record, and for the standard errors of some.

    Earlier names of metrics are read, and not written.
    """
    found = [metric for metric in ALL if metric.section == section]
    fields: dict[str, Any] = {}
    for metric in found:
        fields[metric.name] = _field(metric.meaning, metric)
        if metric.has_error:
            fields[metric.error_name] = _field(f"standard error of `{metric.name}`", metric)
    part = create_model(name, __base__=base, __doc__=base.__doc__, **fields)
    former = {alias: Finite for metric in found for alias in metric.aliases}
    part.former = {**base.former, **former, **{f"{alias}_se": Finite for alias in former}}
    return part


def _field(meaning: str, metric: Metric) -> tuple[Any, Any]:
    unit = f", in {metric.unit}" if metric.unit and metric.unit != "%" and metric.unit not in meaning else ""
    return Finite | None, Field(default=None, description=f"{meaning}{unit}")


class MetricsBase(Part):
    """What was measured; the metrics of the section `metrics` are fields too."""

    tokens_per_s_each: list[Finite] | None = Field(
        default=None, description="`tokens_per_s` of each repeat, if there are several"
    )
    energy_of: list[str] | None = Field(default=None, description="the devices whose energy is counted")
    absent: Reasons | None = ABSENT


class ScoreMetricsBase(Part):
    """Metrics of scoring, with standard errors; the metrics of the section `scores.metrics` are fields."""


if TYPE_CHECKING:

    class Metrics(MetricsBase):
        pass

    class ScoreMetrics(ScoreMetricsBase):
        pass
else:
    Metrics = with_metrics("Metrics", MetricsBase, "metrics")
    ScoreMetrics = with_metrics("ScoreMetrics", ScoreMetricsBase, "scores.metrics")


class AgainstBaseline(Part):
    """Scores against the next-token distributions of a baseline."""

    baseline: str | None = Field(
        default=None, description="the baseline's directory, from the job's own; `.` for itself"
    )
    of: str | None = Field(default=None, description="hash of the baseline's answers")
    texts: Count | None = Field(default=None, description="answers of the baseline that were read")
    positions: Count | None = Field(default=None, description="tokens of these answers")
    size_mb: Finite | None = Field(default=None, description="of the distributions that a baseline keeps, in MB")
    absent: Reasons | None = ABSENT


class OnText(Part):
    """Scores on a text."""

    path: str | None = Field(default=None, description="of the text; null for the one that hforch ships")
    sha256: str | None = Field(default=None, description="of the text")
    tokens: Count | None = Field(default=None, description="scored tokens")
    bytes: Count | None = Field(default=None, description="of the text in UTF-8, without its first token")
    window: Count | None = Field(default=None, description="tokens of a window")
    windows: list[Annotated[list[Count | Finite], Field(min_length=2, max_length=2)]] | None = Field(
        default=None, description="of each window its scored tokens, and their negative log-probability in nats"
    )
    absent: Reasons | None = ABSENT


class Scores(Part):
    """What scoring found."""

    former = MappingProxyType({"absent": dict[str, str]})

    read_by: str | None = Field(default=None, description="what read the tokens")
    chunk: Count | None = Field(default=None, description="tokens read at once")
    against_baseline: AgainstBaseline | None = Field(
        default=None, description="what was read of the baseline, and why scores against it are absent"
    )
    on_text: OnText | None = Field(default=None, description="what was read of a text, and why scores on it are absent")
    metrics: ScoreMetrics | None = Field(default=None, description="of both parts, with standard errors")
    seconds: Finite | None = Field(default=None, description="how long it took")
    whole: bool | None = Field(default=None, description="whether nothing of it failed")

    @property
    def reasons(self) -> dict[str, str]:
        """Why metrics are absent, of all parts."""
        parts = (self.against_baseline, self.on_text)
        return {name: why for part in parts if part and part.absent for name, why in part.absent.items()}


class WarmedUp(Part):
    """How one shape of batches was warmed up."""

    batch_size: Count | None = Field(default=None, description="prompts at a time")
    prompt_tokens: Count | None = Field(default=None, description="of the longest prompt, rounded up to a power of two")
    num_beams: Count | None = Field(default=None, description="sequences for each prompt")
    cache_length: Count | None = Field(default=None, description="tokens of a KV cache of fixed size")
    rounds: Count | None = Field(default=None, description="short generations")
    seconds: Finite | None = Field(default=None, description="of all together")
    deviation: Finite | None = Field(default=None, description="share by which the times of the last two rounds differ")
    prefill_ms: Finite | None = Field(default=None, description="of the last round")
    step_ms: Finite | None = Field(default=None, description="of the last round")
    wall_ms: Finite | None = Field(default=None, description="of the last round")
    error: str | None = Field(default=None, description="why it failed")
    ended_by: str | None = Field(default=None, description="what ended it")
    steady: bool | None = Field(
        default=None, description="whether the times were steady at the end; null where nobody looked"
    )


class CheckCount(Part):
    """How often a check was passed."""

    name: str = Field(description="the check, as people call it")
    passed: Count = Field(description="samples that passed it")
    total: Count = Field(description="samples that it was held against")


class CheckTotals(Part):
    """Checks passed, all together and each."""

    needed = frozenset({"passed", "total"})

    passed: Count = Field(description="results that passed")
    total: Count = Field(description="all results")
    each: list[CheckCount] = Field(description="of each check")


class Totals(Part):
    """Samples and tokens of a job."""

    planned: Count | None = Field(description="samples that the job plans; null if it had not come so far")
    samples: Count = Field(description="recorded samples")
    failed: Count = Field(description="recorded samples without an answer")
    prompt_tokens: Count = Field(description="of all recorded samples")
    output_tokens: Count = Field(description="of all recorded samples")
    finish_reasons: dict[str, Count] = Field(description="how answers ended, counted")
    checks: CheckTotals | None = Field(description="null where there are no checks")


SCORE_PARTS = {
    "against_baseline": tuple(metric.name for metric in AGAINST_BASELINE),
    "on_text": tuple(metric.name for metric in ON_TEXT),
}
"""The parts of scoring, each with its metrics."""
