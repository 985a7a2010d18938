"""`starts_with`: the answer begins with this text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from hforch.checks.base import Check, Column, Sample, Verdict, as_some_text, quoted
from hforch.errors import Mistake
from hforch.utils.strict_model import NonEmpty


class StartsWithCheck(Check):
    kind: Literal["starts_with"]
    value: NonEmpty | Column

    passed_when = "it begins with this text"
    example = "starts_with: The"
    strips_value = True

    @classmethod
    def prepare(cls, value: Any) -> str:
        return as_some_text(value)

    @classmethod
    def mistakes(cls, keys: Mapping[str, Any], path: str, strip: bool) -> Iterator[Mistake]:
        if strip and isinstance(keys["value"], str) and not keys["value"].strip():
            yield Mistake(path, "is white space only, which checks.strip takes away", hint="set checks.strip=false")

    def judge(self, text: str, wanted: Any, sample: Sample) -> Verdict:
        seen = f"it starts with {quoted(text[: len(wanted)])}, and {quoted(wanted)} was looked for"
        return Verdict(text.startswith(wanted), seen)


CHECK = StartsWithCheck
