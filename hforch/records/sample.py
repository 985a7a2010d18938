"""The type of a line of samples.jsonl: one input, answered once by one job."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from hforch.generation.completion import FinishReason
from hforch.metrics.registry import TIMINGS
from hforch.records.fields import Count, Error, Part

LARGEST_ID = 2**63 - 1

Milliseconds = Annotated[float, Field(gt=-1e15, lt=1e15)]

if TYPE_CHECKING:
    TimingName = str
else:
    TimingName = Literal[TIMINGS]


def _within_64_bits(ids: list[int]) -> list[int]:
    if max(ids, default=0) > LARGEST_ID:
        raise ValueError("a token id has more than 64 bits")
    return ids


TokenIds = Annotated[list[int], AfterValidator(_within_64_bits)]  # faster than a bound of each


class CheckResult(Part):
    """Whether an answer passed a check."""

    needed = frozenset({"name", "passed"})

    name: str = Field(description="the check, as people call it; of a job no two alike")
    passed: bool = Field(description="whether what it says is so")
    why: str | None = Field(description="why not; null where it was passed")


class BatchPlace(Part):
    """Where an input stood when it was answered."""

    needed = frozenset({"index"})

    index: int = Field(description="the batch in the plan, from 0; -1 of an input that was in none")
    size: Count = Field(description="inputs of the batch")
    place: Count | None = Field(description="the input in the batch, from 0")


class Sample(Part):
    """One line of samples.jsonl."""

    needed = frozenset({"input_id", "index", "repeat", "batch", "timings", "absent", "finish_reason", "error"})

    index: Count = Field(description="place among the inputs, from 0")
    input_id: str = Field(
        description="hash of the input's content; `-2`, `-3` for repeated ones; a row of one column is the same as its"
        " value"
    )
    repeat: Count = Field(description="which time the input was measured, from 0")
    batch: BatchPlace = Field(description="its index in the plan, its size, the place in it")
    input: Any = Field(description="the input, a text or values by name")
    prompt: str | None = Field(description="as rendered")
    text: str | None = Field(
        description="the answer; of a sample with an error, what had come before that, if anything"
    )
    prompt_ids: TokenIds | None = Field(description="tokens of the prompt; null where only text is known")
    output_ids: TokenIds | None = Field(description="tokens of the answer; null where only text is known")
    prompt_tokens: Count | None = Field(description="number of tokens of the prompt; null if it is not known")
    output_tokens: Count | None = Field(description="number of tokens of the answer; null if it is not known")
    finish_reason: FinishReason = Field(
        description="why the answer ended: `stop` (a stop sequence), `eos`, `length` or `error`"
    )
    timings: dict[TimingName, Milliseconds] = Field(description="in milliseconds, by name")
    absent: dict[str, str] = Field(description="by name, why timings, or token ids, are not known")
    error: Error | None = Field(description="why there is no answer; null where there is one")
    checks: list[CheckResult] = Field(
        default=[], description="of each check its name, whether it was `passed`, and `why` not"
    )
