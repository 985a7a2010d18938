"""`icontains`: the answer contains a string, ignoring case."""

from __future__ import annotations

from typing import Any, Literal

from hforch.checks.base import Check, Column, Sample, Verdict, as_some_text, quoted
from hforch.utils.strict_model import NonEmpty


class IContainsCheck(Check):
    kind: Literal["icontains"]
    value: NonEmpty | Column

    passed_when = "the answer contains this string, ignoring case"
    example = "icontains: paris"

    @classmethod
    def prepare(cls, value: Any) -> str:
        return as_some_text(value)

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        found = expected.casefold() in text.casefold()
        contains = "contains" if found else "does not contain"
        return Verdict(found, f"the answer {contains} {quoted(expected)} (ignoring case)")


CHECK = IContainsCheck
