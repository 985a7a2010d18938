"""The base class of all configuration models, and constrained types for their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

NonEmpty = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class NamesAPath:
    """An annotation of a field whose value may be the path of a file or directory."""


NAMES_A_PATH = NamesAPath()
PathText = Annotated[NonEmpty, NAMES_A_PATH]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]


class StrictModel(BaseModel):
    """A model that is immutable, rejects unknown keys, and does not convert types ("3" is not 3).

    Attributes:
        added: keys that older records lack, with the values that these records imply.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    added: ClassVar[Mapping[str, Any]] = {}


def union_of(models: Sequence[type[BaseModel]], tag: str) -> Any:
    """Return the union of the models, discriminated by a field, or the model if there is only one."""
    return models[0] if len(models) == 1 else Annotated[reduce(or_, models), Field(discriminator=tag)]
