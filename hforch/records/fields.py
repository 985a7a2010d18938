"""The base class of record types, and value types that they share."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Reasons = dict[str, str]
ABSENT: Any = Field(default=None, description="the reasons for missing values, by name")


class Part(BaseModel):
    """A part of a record as it is written; rejects unknown keys and values of the wrong type."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, defer_build=True)

    needed: ClassVar[frozenset[str]] = frozenset()
    """Keys that a stored part must have; others may be missing."""

    former: ClassVar[Mapping[str, Any]] = {}
    """Keys that earlier versions wrote, with their types."""

    def dump(self) -> dict[str, Any]:
        """Return the mapping to write, with only the fields that were set."""
        return self.model_dump(exclude_unset=True)

    def unset(self, name: str) -> None:
        """Mark a field as unset, so that it is not written."""
        self.__dict__[name] = None
        self.model_fields_set.discard(name)


class OpenPart(Part):
    """A part to which backends and libraries may add keys."""

    model_config = ConfigDict(extra="allow", validate_assignment=True, defer_build=True)


class Error(Part):
    """An error, as stored in records and samples."""

    needed = frozenset({"message"})

    type: str = Field(description="class of the error")
    message: str = Field(description="what went wrong, and how to fix it")
    traceback: str | None = Field(default=None, description="the traceback; only with HYDRA_FULL_ERROR=1")
