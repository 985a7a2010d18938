"""The base of the types of records, and types of values that several of them share."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**53)]
Reasons = dict[str, str]
ABSENT: Any = Field(default=None, description="by name, why a value is not known")


class Part(BaseModel):
    """A part of a record as it is written: a key that is no field is refused, and so is a value of another type."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, defer_build=True)

    needed: ClassVar[frozenset[str]] = frozenset()
    """Keys without which a stored part is of no use; readers do without all others."""

    former: ClassVar[Mapping[str, Any]] = {}
    """Keys that earlier versions wrote here, with their types."""

    def dump(self) -> dict[str, Any]:
        """Return what is written: the fields that were set, null where they were set to None."""
        return self.model_dump(exclude_unset=True)

    def unset(self, name: str) -> None:
        """Leave a field out of what is written, as if it had not been set."""
        self.__dict__[name] = None
        self.model_fields_set.discard(name)


class OpenPart(Part):
    """A part that backends and libraries may add to; what hforch itself knows of it are the fields."""

    model_config = ConfigDict(extra="allow", validate_assignment=True, defer_build=True)


class Error(Part):
    """An error, as records and samples hold it."""

    needed = frozenset({"message"})

    type: str = Field(description="its class")
    message: str = Field(description="what was wrong, and what to do")
    traceback: str | None = Field(default=None, description="where it was raised; only with HYDRA_FULL_ERROR=1")
