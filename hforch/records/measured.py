"""Parts of record.json with measurements; the fields for metrics are created from the registry."""

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, create_model

from hforch.metrics.metric import Metric
from hforch.metrics.registry import AGAINST_BASELINE, ALL, ON_TEXT
from hforch.records.fields import ABSENT, Count, Finite, Part, Reasons

Base = TypeVar("Base", bound=Part)


def with_metrics(name: str, base: type[Base], section: str) -> type[Base]:
    """Return a part with a field for each metric of a section of the record, and one for each standard error.

    Former names of metrics are accepted when reading, but not written.
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
    """Measurements; the metrics of the section `metrics` are fields too."""

    tokens_per_s_each: list[Finite] | None = Field(
        default=None, description="`tokens_per_s` of each repeat, if there are several"
    )
    energy_of: list[str] | None = Field(default=None, description="devices whose energy is counted")
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


class MetricInterval(Part):
    """The confidence interval of a metric, or the reason why it has none."""

    low: Finite | None = Field(default=None, description="lower end")
    high: Finite | None = Field(default=None, description="upper end; null if infinite")
    confidence: Finite | None = Field(default=None, description="confidence level, 0 to 1")
    method: str | None = Field(default=None, description="how it was computed; docs/comparing.md describes the methods")
    units: Count | None = Field(default=None, description="number of independent rounds, inputs or windows")
    absent: str | None = Field(default=None, description="why there is no interval")


class AgainstBaseline(Part):
    """Scores against the next-token distributions of a baseline."""

    baseline: str | None = Field(
        default=None, description="the baseline's directory, relative to the job's; `.` for a baseline itself"
    )
    of: str | None = Field(default=None, description="SHA-256 of the baseline's answers")
    texts: Count | None = Field(default=None, description="number of baseline answers that were scored")
    positions: Count | None = Field(default=None, description="number of tokens in these answers")
    contradicted: Count | None = Field(
        default=None,
        description="number of the job's answers with a token that cannot be its choice according to these"
        " distributions; null unless the job always chooses the most likely token",
    )
    size_mb: Finite | None = Field(default=None, description="size of a baseline's stored distributions, in MB")
    absent: Reasons | None = ABSENT


class OnText(Part):
    """Scores on a text."""

    path: str | None = Field(default=None, description="path of the text; null for the text that hforch ships")
    sha256: str | None = Field(default=None, description="SHA-256 of the text, of its scored part if it was truncated")
    tokens: Count | None = Field(default=None, description="number of scored tokens")
    of_tokens: Count | None = Field(
        default=None, description="number of tokens of the whole text, if `scoring.text.max_tokens` truncated it"
    )
    added_before: list[str] | None = Field(
        default=None,
        description="special tokens, such as BOS, that the tokenizer adds before the text, only in the first window;"
        " they are not scored, but the text's first token is; if empty, that token is not scored",
    )
    added_after: list[str] | None = Field(
        default=None, description="special tokens that the tokenizer adds after the text; not scored"
    )
    bytes: Count | None = Field(
        default=None, description="UTF-8 bytes of the scored text, without its first token if that is not scored"
    )
    window: Count | None = Field(default=None, description="tokens per window")
    windows: list[Annotated[list[Count | Finite], Field(min_length=2, max_length=2)]] | None = Field(
        default=None,
        description="for each window, the number of scored tokens and their total negative log-probability in nats",
    )
    absent: Reasons | None = ABSENT


class Scores(Part):
    """The results of scoring."""

    former = MappingProxyType({"absent": dict[str, str]})

    read_by: str | None = Field(default=None, description="the library that computed the logits")
    chunk: Count | None = Field(default=None, description="tokens per forward pass")
    against_baseline: AgainstBaseline | None = Field(
        default=None, description="the scored baseline answers, or the reasons why scores against them are absent"
    )
    on_text: OnText | None = Field(
        default=None, description="the scored text, or the reasons why scores on it are absent"
    )
    metrics: ScoreMetrics | None = Field(default=None, description="metrics of both parts, with standard errors")
    seconds: Finite | None = Field(default=None, description="duration of scoring, in seconds")
    whole: bool | None = Field(default=None, description="whether every part succeeded")

    @property
    def reasons(self) -> dict[str, str]:
        """The reasons for absent metrics of all parts, by metric."""
        parts = (self.against_baseline, self.on_text)
        return {name: why for part in parts if part and part.absent for name, why in part.absent.items()}


class WarmedUp(Part):
    """The warm-up of one batch shape."""

    batch_size: Count | None = Field(default=None, description="prompts per batch")
    prompt_tokens: Count | None = Field(
        default=None, description="tokens of the longest prompt, rounded up to a power of two"
    )
    num_beams: Count | None = Field(default=None, description="beams per prompt")
    cache_length: Count | None = Field(default=None, description="tokens of a fixed-size KV cache")
    rounds: Count | None = Field(default=None, description="number of short generations")
    seconds: Finite | None = Field(default=None, description="duration of all rounds, in seconds")
    deviation: Finite | None = Field(
        default=None, description="relative difference between the times of the last two rounds"
    )
    prefill_ms: Finite | None = Field(default=None, description="prefill time in the last round, in ms")
    step_ms: Finite | None = Field(default=None, description="time per decode step in the last round, in ms")
    wall_ms: Finite | None = Field(default=None, description="wall time of the last round, in ms")
    error: str | None = Field(default=None, description="why the warm-up failed")
    ended_by: str | None = Field(default=None, description="why the warm-up stopped")
    steady: bool | None = Field(
        default=None, description="whether the times were steady at the end; null if this was not checked"
    )


class CheckCount(Part):
    """The results of one check."""

    name: str = Field(description="name of the check")
    passed: Count = Field(description="number of samples that passed")
    total: Count = Field(description="number of samples that were checked")


class CheckTotals(Part):
    """The results of all checks, in total and by check."""

    needed = frozenset({"passed", "total"})

    passed: Count = Field(description="number of passed checks")
    total: Count = Field(description="number of checks that were run")
    each: list[CheckCount] = Field(description="the results by check")


class Totals(Part):
    """The numbers of samples and tokens of a job."""

    planned: Count | None = Field(description="planned samples; null if the job stopped before planning")
    samples: Count = Field(description="recorded samples")
    failed: Count = Field(description="failed samples, without interrupted ones")
    interrupted: Count = Field(default=0, description="samples interrupted by Ctrl-C")
    prompt_tokens: Count = Field(description="prompt tokens of all recorded samples")
    output_tokens: Count = Field(description="output tokens of all recorded samples")
    finish_reasons: dict[str, Count] = Field(description="number of answers by finish reason")
    checks: CheckTotals | None = Field(description="results of checks; null without checks")


SCORE_PARTS = {
    "against_baseline": tuple(metric.name for metric in AGAINST_BASELINE),
    "on_text": tuple(metric.name for metric in ON_TEXT),
}
"""The parts of scoring, each with its metrics."""
