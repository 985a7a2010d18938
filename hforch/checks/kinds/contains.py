"""`contains`: the answer contains a string."""

from __future__ import annotations

from typing import Any, Literal

from hforch.checks.base import Check, Column, Sample, Verdict, as_some_text, quoted
from hforch.utils.strict_model import NonEmpty


class ContainsCheck(Check):
    kind: Literal["contains"]
    value: NonEmpty | Column

    passed_when = "the answer contains this string"
    example = "contains: Paris"

    @classmethod
    def prepare(cls, value: Any) -> str:
        return as_some_text(value)

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        found = expected in text
        return Verdict(found, f"the answer {'contains' if found else 'does not contain'} {quoted(expected)}")


CHECK = ContainsCheck
