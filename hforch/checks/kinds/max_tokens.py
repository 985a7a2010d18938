"""`max_tokens`: the answer has at most N tokens."""

from __future__ import annotations

from typing import Any, Literal

from hforch.checks.base import Check, Column, Sample, Undecided, Verdict, brief
from hforch.utils.strict_model import Count


class MaxTokensCheck(Check):
    kind: Literal["max_tokens"]
    value: Count | Column

    passed_when = "the answer has at most this many tokens"
    example = "max_tokens: 20"

    @classmethod
    def prepare(cls, value: Any) -> int:
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"must be an integer of at least 0; got {brief(value)}")
        return value

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        tokens = sample["output_tokens"]
        if tokens is None:
            raise Undecided("the number of tokens is unknown")
        return Verdict(tokens <= expected, f"the answer has {tokens} token{'s' * (tokens != 1)} (limit {expected})")


CHECK = MaxTokensCheck
