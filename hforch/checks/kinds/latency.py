"""`latency`: the answer took at most N milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from hforch.checks.base import Check, Sample, Undecided, Verdict
from hforch.utils.strict_model import StrictModel


class Bound(StrictModel):
    """The maximum of a time in milliseconds."""

    max_ms: Annotated[float, Field(gt=0)]


class LatencyCheck(Check):
    kind: Literal["latency"]
    value: Bound

    passed_when = (
        "the answer took at most `max_ms` milliseconds, from the submission of its prompt (`latency_ms` in"
        " `samples.jsonl`; in a batch, to the end of the batch)"
    )
    example = "latency: {max_ms: 500}"

    @classmethod
    def prepare(cls, value: Any) -> float:
        return float(value["max_ms"] if isinstance(value, Mapping) else value.max_ms)

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        took = (sample.get("timings") or {}).get("latency_ms")
        if took is None:
            raise Undecided("the latency is unknown")
        return Verdict(took <= expected, f"the answer took {took:g} ms (limit {expected:g} ms)")

    def describe_value(self) -> str:
        return f"{self.value.max_ms:g} ms or less"


CHECK = LatencyCheck
