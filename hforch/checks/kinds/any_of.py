"""`any_of`: at least one of several checks passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from hforch.checks import kinds
from hforch.checks.base import Check
from hforch.utils.entries import load_entry, names_of
from hforch.utils.strict_model import union_of

NAME = "any_of"

if TYPE_CHECKING:
    Member = Check
else:
    Member = union_of(tuple(load_entry(kinds, name, "CHECK") for name in names_of(kinds) if name != NAME), "kind")


class AnyOfCheck(Check):
    kind: Literal["any_of"]
    value: Annotated[tuple[Member, ...], Field(strict=False, min_length=1)]

    passed_when = "at least one of these checks passes"
    example = "any_of: [{icontains: Paris}, {regex: '(?i)city of light'}]"
    holds_checks: ClassVar[bool] = True

    @property
    def members(self) -> tuple[Check, ...]:
        return self.value

    @classmethod
    def prepare(cls, value: Any) -> None:
        """Accept any value, since each member prepares its own."""

    def describe_value(self) -> str:
        return " or ".join(member.name for member in self.value)


CHECK = AnyOfCheck
