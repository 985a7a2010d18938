"""`starts_with`: the answer starts with a string."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from hforch.checks.base import Check, Column, Sample, Verdict, as_some_text, quoted
from hforch.errors import Mistake
from hforch.utils.strict_model import NonEmpty


class StartsWithCheck(Check):
    kind: Literal["starts_with"]
    value: NonEmpty | Column

    passed_when = "the answer starts with this string"
    example = "starts_with: The"
    strips_value = True

    @classmethod
    def prepare(cls, value: Any) -> str:
        return as_some_text(value)

    @classmethod
    def mistakes(cls, keys: Mapping[str, Any], path: str, strip: bool) -> Iterator[Mistake]:
        if strip and isinstance(keys["value"], str) and not keys["value"].strip():
            yield Mistake(path, "contains only whitespace, which checks.strip removes", hint="set checks.strip=false")

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        found = text.startswith(expected)
        seen = f"the answer starts with {quoted(text[: len(expected)])}"
        return Verdict(found, seen if found else f"{seen}, not {quoted(expected)}")


CHECK = StartsWithCheck
