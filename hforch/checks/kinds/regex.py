"""`regex`: a regular expression matches somewhere in the answer."""

from __future__ import annotations

from typing import Any, Literal

from hforch.checks.base import Check, Column, Sample, Verdict, as_some_text, quoted
from hforch.checks.patterns import Pattern
from hforch.utils.strict_model import NonEmpty


class RegexCheck(Check):
    kind: Literal["regex"]
    value: NonEmpty | Column

    passed_when = (
        "this regular expression (Python syntax) matches somewhere in the answer;"
        " to match the whole answer, anchor it with `^` and `$`"
    )
    example = r"regex: '^\d+$'"

    @classmethod
    def prepare(cls, value: Any) -> Pattern:
        return Pattern(as_some_text(value))

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        match = expected.search(text)
        if match is None:
            return Verdict(False, f"no match for {quoted(expected.text)} in the answer")
        return Verdict(True, f"the answer contains {quoted(match.group())}, which matches {quoted(expected.text)}")


CHECK = RegexCheck
