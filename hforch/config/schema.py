"""Types that validate a configuration: one class per config group, one field per key, no defaults.

Defaults are only in conf/, so every field is required. A group whose options have different keys (the source of the
weights, the kind of prompt) is a discriminated union. Each group, or each key where keys differ, is annotated with what
it affects; load keys and job ids are derived from that (`affects.py`). A class that gains a key later lists in `added`
the value that older records imply; `Job` does so for whole groups (`added_keys.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from hforch.checks.registry import AnyCheck
from hforch.config.affects import LOADING, NOTHING, OUTPUTS, SAMPLES, SCORES, TIMINGS
from hforch.config.backends.registry import AnyBackend
from hforch.config.checks import expand_short_form
from hforch.config.durations import seconds_of
from hforch.config.models.registry import AnySource
from hforch.config.template_prompts import with_template
from hforch.trackers.registry import AnyOptions
from hforch.utils.strict_model import (
    NAMES_A_PATH,
    Count,
    NonEmpty,
    PathText,
    Positive,
    Probability,
    StrictModel,
)


class ConfigPart(StrictModel):
    """The base class of the parts of a job."""


# ---------------------------------------------------------------- device, precision, ov_config
class Device(ConfigPart):
    kind: Literal["cpu", "gpu", "auto", "npu", "openvino"]
    index: Count | None
    name: NonEmpty | None
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None


PrecisionName = Literal["auto", "fp32", "bf16", "fp16", "int8", "int4"]


class Precision(ConfigPart):
    name: PrecisionName
    group_size: int | None
    group_size_fallback: Literal["adjust", "ignore", "error"] | None


OVValue = str | int | float | bool


# ---------------------------------------------------------------- prompt, generation, stop
class PromptPart(ConfigPart):
    """How an input becomes a prompt.

    Attributes:
        column: the input column that supplies the only variable; null: the column with the name of the variable, or
            the obvious one (`prompt_columns.py`).
        echo: output the prompt before the answer.
    """

    column: NonEmpty | None
    echo: bool


class TemplatePrompt(PromptPart):
    kind: Literal["template"]
    template: NonEmpty

    added: ClassVar[Mapping[str, Any]] = {"column": None}


class Message(ConfigPart):
    role: Literal["system", "user", "assistant"]
    content: str


class MessagesPrompt(PromptPart):
    """Messages for the model's chat template."""

    system: str | None
    messages: Annotated[tuple[Message, ...], Field(strict=False, min_length=1)]
    chat_template_kwargs: dict[str, Any]

    added: ClassVar[Mapping[str, Any]] = {"column": None}


class ChatPrompt(MessagesPrompt):
    kind: Literal["chat"]


class RawPrompt(PromptPart):
    kind: Literal["raw"]


class AutoPrompt(MessagesPrompt):
    """A ChatPrompt if the model has a chat template, otherwise a RawPrompt (`auto_prompt.py`).

    With a template, it is validated as a TemplatePrompt, so a job never has an AutoPrompt with one.
    """

    kind: Literal["auto"]
    template: NonEmpty | None


Prompt = Annotated[
    Annotated[AutoPrompt | TemplatePrompt | ChatPrompt | RawPrompt, Field(discriminator="kind")],
    BeforeValidator(with_template),
]


class Generation(ConfigPart):
    """Decoding settings, named as in transformers' GenerationConfig. None: the setting is not applied."""

    from_checkpoint: bool
    do_sample: bool | None
    temperature: Annotated[float, Field(ge=0)] | None
    top_k: Count | None
    top_p: Annotated[float, Field(gt=0, le=1)] | None
    min_p: Probability | None
    typical_p: Annotated[float, Field(gt=0, le=1)] | None
    num_beams: Positive | None
    length_penalty: float | None
    early_stopping: bool | Literal["never"] | None
    repetition_penalty: Annotated[float, Field(gt=0)] | None
    no_repeat_ngram_size: Count | None
    max_new_tokens: Positive | None
    min_new_tokens: Count | None
    max_length: Positive | None
    ignore_eos: bool
    json_schema: Annotated[Annotated[dict[str, Any] | NonEmpty, Field(union_mode="left_to_right")] | None, NAMES_A_PATH]


class Stop(ConfigPart):
    sequences: Annotated[tuple[NonEmpty, ...], Field(strict=False)]


# ---------------------------------------------------------------- inputs
Item = str | dict[str, Any]


class InlineInputs(ConfigPart):
    kind: Literal["inline"]
    items: Annotated[tuple[Item, ...], Field(strict=False, min_length=1)]
    limit: Positive | None


class FileInputs(ConfigPart):
    kind: Literal["file"]
    path: PathText
    format: Literal["auto", "jsonl", "json", "csv", "tsv", "parquet", "txt"]
    encoding: NonEmpty
    limit: Positive | None


Inputs = Annotated[InlineInputs | FileInputs, Field(discriminator="kind")]


# ---------------------------------------------------------------- checks
WrittenCheck = Annotated[AnyCheck, BeforeValidator(expand_short_form)]


class Checks(ConfigPart):
    items: Annotated[tuple[WrittenCheck, ...], Field(strict=False)]
    strip: bool


# ---------------------------------------------------------------- scoring
class BaselineScoring(ConfigPart):
    """Divergence of the next-token distributions from those of the baseline, on the baseline's answers.

    Attributes:
        of: SETTING=VALUE,... as in `hforch compare --baseline`; null: the most precise job.
        top_k: the number of tokens per position whose log-probabilities are stored; all others are combined into one.
    """

    of: NonEmpty | None
    top_k: Positive


class TextScoring(ConfigPart):
    """Perplexity on a text.

    Attributes:
        path: a text file; null: the English text that hforch ships.
        window: the maximum number of tokens in one forward pass.
        stride: the number of tokens scored in each window after the first, with the previous ones as context; null:
            half the window.
        max_tokens: the number of tokens of the text to score; the rest of a longer text is ignored.
    """

    path: Annotated[NonEmpty | None, NAMES_A_PATH]
    encoding: NonEmpty
    window: Annotated[int, Field(ge=2)]
    stride: Positive | None
    max_tokens: Annotated[int, Field(ge=2)]


class Scoring(ConfigPart):
    """Scoring with the loaded model, after generation.

    Attributes:
        chunk: the number of tokens per forward pass; earlier ones are in the KV cache.
        batch_size: the number of texts per forward pass.
    """

    chunk: Positive
    batch_size: Positive
    baseline: BaselineScoring | None
    text: TextScoring | None

    @property
    def is_requested(self) -> bool:
        """Whether scoring is enabled."""
        return self.baseline is not None or self.text is not None


# ---------------------------------------------------------------- runtime
def _duration(value: float | str) -> float | str:
    try:
        seconds_of(value)
    except ValueError as error:
        raise PydanticCustomError("duration", "{problem}", {"problem": str(error)}) from None
    return value


Duration = Annotated[float | str, AfterValidator(_duration)]


class Measure(ConfigPart):
    """When a sweep stops measuring further rounds.

    Attributes:
        until: null: after `runtime.rounds`; decided: when the jobs can be ranked, or are shown to be tied.
        at_most: the maximum measured time per job, in seconds or as text such as `2min` (`durations.py`).
        optimize: the metrics to decide on, as in `hforch compare --optimize`: a list, or text such as `A,B`.
        margin: the relative difference below which two jobs are tied.
        confidence: the confidence level of the decision.
    """

    until: Literal["decided"] | None
    at_most: Duration
    optimize: NonEmpty | Annotated[tuple[NonEmpty, ...], Field(strict=False, min_length=1)]
    margin: Annotated[float, Field(ge=0, lt=1)]
    confidence: Annotated[float, Field(gt=0, lt=1)]


FIXED = {"until": None, "at_most": "120s", "optimize": "tokens_per_s", "margin": 0.02, "confidence": 0.95}
"""The value of `runtime.measure` that older records imply."""


class Runtime(ConfigPart):
    added: ClassVar[Mapping[str, Any]] = {"emulated": "warn", "rounds": 1, "measure": FIXED}

    batch_size: Annotated[Positive, OUTPUTS]
    seed: Annotated[Annotated[int, Field(ge=0, lt=2**63)] | None, OUTPUTS]
    threads: Annotated[Positive | None, LOADING]
    warmup: Annotated[Count | Literal["auto"], TIMINGS]
    repeat: Annotated[Positive, SAMPLES]
    rounds: Annotated[Positive, SAMPLES]
    measure: Annotated[Measure, NOTHING]
    fail_fast: Annotated[bool, NOTHING]
    min_pass: Annotated[Probability | None, NOTHING]
    memory_check: Annotated[Literal["refuse", "warn", "off"], NOTHING]
    emulated: Annotated[Literal["warn", "skip"], NOTHING]
    isolation: Annotated[Literal["process", "inline"], NOTHING]
    display: Annotated[Literal["auto", "rich", "plain", "json", "none"], NOTHING]

    @property
    def until_decided(self) -> Measure | None:
        """When to stop measuring, if the number of rounds is not fixed."""
        return None if self.measure.until is None else self.measure


class Job(ConfigPart):
    """One composed configuration, which describes one run."""

    model: Annotated[AnySource, LOADING]
    backend: Annotated[AnyBackend, LOADING]
    device: Annotated[Device, LOADING]
    precision: Annotated[Precision, LOADING]
    ov_config: Annotated[dict[str, OVValue], LOADING]
    prompt: Annotated[Prompt, OUTPUTS]
    generation: Annotated[Generation, OUTPUTS]
    stop: Annotated[Stop, OUTPUTS]
    inputs: Annotated[Inputs, OUTPUTS]
    checks: Annotated[Checks, SAMPLES]
    scoring: Annotated[Scoring, SCORES]
    tracker: Annotated[AnyOptions, NOTHING]
    runtime: Runtime
