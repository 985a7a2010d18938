"""The type of a line of samples.jsonl: one generation for one input."""

from array import array
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from hforch.generation.completion import FinishReason
from hforch.metrics.registry import TIMINGS
from hforch.records.fields import Count, Error, Part

Milliseconds = Annotated[float, Field(gt=-1e15, lt=1e15)]

if TYPE_CHECKING:
    TimingName = str
else:
    TimingName = Literal[TIMINGS]


def _token_ids(ids: Any) -> list[int]:
    """Validate token ids through an array, which is twice as fast as validating a list."""
    if type(ids) is not list:
        raise PydanticCustomError("list_type", "Input should be a list")
    try:
        array("q", ids)
    except (TypeError, OverflowError):
        raise PydanticCustomError("token_ids", "contains values that are not 64-bit integers") from None
    return ids


TokenIds = Annotated[list[int], PlainValidator(_token_ids, json_schema_input_type=list[int])]


class CheckResult(Part):
    """The result of a check on an answer."""

    needed = frozenset({"name", "passed"})

    name: str = Field(description="name of the check, unique within a job")
    passed: bool = Field(description="whether the answer passed")
    why: str | None = Field(description="why the answer did not pass; null if it passed")


class BatchPlace(Part):
    """The position of an input in the batches of a run."""

    needed = frozenset({"index"})

    index: int = Field(description="index of the batch in the plan, from 0; -1 if the input was in no batch")
    size: Count = Field(description="number of inputs in the batch")
    place: Count | None = Field(description="index of the input in the batch, from 0")


class Sample(Part):
    """A line of samples.jsonl."""

    needed = frozenset({"input_id", "index", "repeat", "batch", "timings", "absent", "finish_reason", "error"})

    index: Count = Field(description="index of the input, from 0")
    input_id: str = Field(
        description="hash of the input's content; for a row with a single column, the hash of its value; duplicates end"
        " in `-2`, `-3`, ..."
    )
    repeat: Count = Field(description="index of the repeat, from 0, over all rounds")
    round: Count = Field(default=0, description="index of the round, from 0")
    batch: BatchPlace = Field(description="index of the batch in the plan, its size, and the index in the batch")
    input: Any = Field(description="the input: a string, or values by name")
    prompt: str | None = Field(description="the rendered prompt")
    text: str | None = Field(description="the answer; if the sample failed, the partial answer, if any")
    prompt_ids: TokenIds | None = Field(description="token ids of the prompt; null if only text is available")
    output_ids: TokenIds | None = Field(description="token ids of the answer; null if only text is available")
    prompt_tokens: Count | None = Field(description="number of tokens of the prompt; null if unknown")
    output_tokens: Count | None = Field(description="number of tokens of the answer; null if unknown")
    finish_reason: FinishReason = Field(
        description="why generation stopped: `stop` (a stop sequence), `eos`, `length` or `error`"
    )
    timings: dict[TimingName, Milliseconds] = Field(description="timings by name, in milliseconds")
    absent: dict[str, str] = Field(description="why timings or token ids are missing, by name")
    error: Error | None = Field(description="why the sample failed; null if it succeeded")
    checks: list[CheckResult] = Field(
        default=[], description="for each check, its name, whether it `passed`, and if not, `why`"
    )
