"""Derive validators for stored records, including those of other versions, from the types that write records."""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, with_config
from pydantic_core import SchemaValidator
from typing_extensions import TypedDict

from hforch.records.fields import Part

STORED = ConfigDict(extra="allow", strict=True)


@cache
def validator(part: type[Part]) -> SchemaValidator:
    """Return a validator for a stored part, which checks the type of every value that is present.

    Keys may be missing or null, except those in `needed`; unknown keys are allowed. A Literal of strings accepts any
    string, since later versions may write others.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(_stored(part))
    return adapter.validator  # type: ignore[return-value]


@cache
def _mapping(part: type[Part]) -> Any:
    """Return a part as a TypedDict, which validates twice as fast as a model."""
    fields: dict[str, Any] = {name: NotRequired[kind | None] for name, kind in part.former.items()}
    for name, info in part.model_fields.items():
        kind = _stored(info.annotation)
        for metadata in info.metadata:
            kind = Annotated[kind, metadata]
        fields[name] = Required[kind] if name in part.needed else NotRequired[kind | None]
    if unknown := part.needed - fields.keys():
        raise TypeError(f"{part.__name__} has no field {', '.join(sorted(unknown))}")
    mapping = TypedDict(part.__name__, fields)  # type: ignore[misc]
    return with_config(STORED)(mapping)


def _stored(kind: Any) -> Any:
    """Return a type with each part in it replaced by its TypedDict."""
    if isinstance(kind, type) and issubclass(kind, Part):
        return _mapping(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return Annotated[(_stored(arguments[0]), *arguments[1:])]
    if origin is Literal:
        return str if all(isinstance(one, str) for one in arguments) else kind
    if origin in (Union, UnionType):
        return Union[tuple(map(_stored, arguments))]  # noqa: UP007
    return origin[tuple(map(_stored, arguments))] if arguments and origin is not None else kind
