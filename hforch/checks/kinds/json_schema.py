"""`json_schema`: the answer is JSON that matches a schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hforch.checks.base import Check, Column, Sample, Verdict
from hforch.checks.json_schemas import conforms, parse, validator
from hforch.utils.strict_model import NonEmpty


class JsonSchemaCheck(Check):
    """A check whose value is a JSON Schema, or the path of a file with one."""

    kind: Literal["json_schema"]
    value: Annotated[Column | dict[str, Any] | NonEmpty, Field(union_mode="left_to_right")]

    passed_when = (
        "the whole answer is JSON that matches this schema: inline, or a file (`answer.json`); `{}` matches any JSON"
    )
    example = "json_schema: {type: object}"
    is_quoted = False

    @classmethod
    def prepare(cls, value: Any) -> Any:
        return validator(parse(value) if isinstance(value, str) else value)

    @classmethod
    def file_of(cls, value: Any) -> str | None:
        return value if isinstance(value, str) else None

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        return conforms(text, expected)


CHECK = JsonSchemaCheck
