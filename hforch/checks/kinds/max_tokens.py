"""`max_tokens`: the answer has this many tokens at most."""

from __future__ import annotations

from typing import Any, Literal

from hforch.checks.base import Check, Column, Sample, Undecided, Verdict, brief
from hforch.utils.strict_model import Count


class MaxTokensCheck(Check):
    kind: Literal["max_tokens"]
    value: Count | Column

    passed_when = "it has this many tokens at most"
    example = "max_tokens: 20"

    @classmethod
    def prepare(cls, value: Any) -> int:
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"must be a whole number, 0 or more; it is {brief(value)}")
        return value

    def judge(self, text: str, wanted: Any, sample: Sample) -> Verdict:
        tokens = sample["output_tokens"]
        if tokens is None:
            raise Undecided("the number of its tokens is not known")
        return Verdict(tokens <= wanted, f"it has {tokens} tokens, and {wanted} is the limit")


CHECK = MaxTokensCheck
