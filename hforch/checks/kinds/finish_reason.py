"""`finish_reason`: the answer has one of the given finish reasons."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from hforch.checks.base import Check, Column, Sample, Verdict, brief

Reason = Literal["stop", "eos", "length"]


class FinishReasonCheck(Check):
    kind: Literal["finish_reason"]
    value: Reason | Annotated[tuple[Reason, ...], Field(strict=False, min_length=1)] | Column

    passed_when = "the finish reason (`stop`, `eos` or `length`) is this one, or is in this list"
    example = "finish_reason: [eos, stop]"
    is_quoted = False
    takes_lists = True

    @classmethod
    def prepare(cls, value: Any) -> tuple[str, ...]:
        reasons = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not reasons or any(reason not in get_args(Reason) for reason in reasons):
            raise ValueError(f"must be one of: {', '.join(get_args(Reason))}; got {brief(value)}")
        return reasons

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        return Verdict(sample["finish_reason"] in expected, f"the finish reason is {sample['finish_reason']}")


CHECK = FinishReasonCheck
