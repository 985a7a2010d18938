"""The keys that the schema knows, as dotted paths, whatever option of a group is chosen."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hforch.config.affects import Affects, Kind
from hforch.config.schema import Job

OPEN_MAPPINGS = frozenset({"ov_config", "prompt.chat_template_kwargs"})


@cache
def groups() -> tuple[str, ...]:
    return tuple(Job.model_fields)


@cache
def known_keys() -> frozenset[str]:
    """Every `group.key` of every option; `ov_config` and `chat_template_kwargs` take any key below them."""
    return frozenset(_paths("", Job))


def keys_of(group: str) -> frozenset[str]:
    return frozenset(path for path in known_keys() if path == group or path.startswith(f"{group}."))


def in_open_mapping(path: str) -> bool:
    return any(path.startswith(f"{mapping}.") for mapping in OPEN_MAPPINGS)


@cache
def affecting(kinds: tuple[Kind, ...]) -> tuple[str, ...]:
    """Return the groups, and the keys that say it themselves, whose values affect one of these kinds."""
    return tuple(path for path, kind in declared_affects() if kind in kinds)


def affects(path: str, kinds: tuple[Kind, ...]) -> bool:
    """Return whether the value at a dotted path affects one of these kinds.

    What a key says itself counts before what its group says. A group whose keys differ has no kind of its own.
    """
    declared = _declared_kinds()
    while path not in declared and path:
        path = path.rpartition(".")[0]
    return declared.get(path) in kinds


def restricted(job: Mapping[str, Any], kinds: tuple[Kind, ...]) -> dict[str, Any]:
    """Return what of a job, as a mapping, affects one of these kinds: groups, with those of their keys that do."""
    kept = {}
    for group, value in job.items():
        if not isinstance(value, Mapping):
            part = value if affects(group, kinds) else None
        else:
            part = {key: inner for key, inner in value.items() if affects(f"{group}.{key}", kinds)}
        if part or affects(group, kinds):
            kept[group] = part
    return kept


def declared_affects() -> Iterator[tuple[str, Kind]]:
    """Yield what the types say: a kind for each group or each of its keys, and for keys that differ from their group.

    Raises:
        TypeError: a key affects one thing in one option of its group and another in another option.
    """
    for group, field in Job.model_fields.items():
        said = _declared(field)
        yield from ((group, kind) for kind in said)
        yield from _declared_keys(group, field.annotation, said[0] if said else None)


@cache
def _declared_kinds() -> dict[str, Kind]:
    return dict(declared_affects())


def _declared_keys(group: str, hint: Any, of_group: Kind | None) -> Iterator[tuple[str, Kind]]:
    """Yield the kinds of the keys that say one; options of a group may share a key."""
    found: dict[str, Kind | None] = {}
    for model in models_in(hint):
        for name, key in model.model_fields.items():
            kind = next(iter(_declared(key)), of_group)
            if found.setdefault(name, kind) != kind:
                problem = f"affects {kind} in {model.__name__}, and {found[name]} in another option of its group"
                raise TypeError(f"{group}.{name} {problem}; call one of them something else")
    yield from ((f"{group}.{name}", kind) for name, kind in found.items() if kind is not None and kind != of_group)


def models_in(hint: Any) -> Iterator[type[BaseModel]]:
    """Yield the classes that a type is made of: itself, the members of a union, the items of a tuple."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    elif get_origin(hint) is Annotated:
        yield from models_in(get_args(hint)[0])
    elif get_origin(hint) in (Union, types.UnionType, tuple):
        for inner in get_args(hint):
            yield from models_in(inner)


def _declared(field: FieldInfo) -> list[Kind]:
    return [one.kind for one in field.metadata if isinstance(one, Affects)]


def _paths(path: str, hint: Any) -> Iterator[str]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        for name, field in hint.model_fields.items():
            yield from _paths(f"{path}.{name}".lstrip("."), field.annotation)
    elif get_origin(hint) in (Union, types.UnionType):
        for inner in get_args(hint):
            yield from _paths(path, inner)
    elif get_origin(hint) is Annotated:
        yield from _paths(path, get_args(hint)[0])
    else:
        yield path
