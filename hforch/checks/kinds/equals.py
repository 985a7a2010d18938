"""`equals`: the answer equals a string."""

from __future__ import annotations

from typing import Any, Literal

from hforch.checks.base import Check, Column, Sample, Verdict, quoted


class EqualsCheck(Check):
    kind: Literal["equals"]
    value: str | Column

    passed_when = "the answer equals this string"
    example = "equals: Paris"
    strips_value = True

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        same = text == expected
        seen = f"the answer is {quoted(text)}"
        return Verdict(same, seen if same else f"{seen}, not {quoted(expected)}")


CHECK = EqualsCheck
