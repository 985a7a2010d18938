"""The keys of the schema as dotted paths, across all options of each group."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hforch.config.affects import Affects, Kind
from hforch.config.schema import Job
from hforch.utils.strict_model import NamesAPath

OPEN_MAPPINGS = frozenset({"ov_config", "prompt.chat_template_kwargs"})


@cache
def groups() -> tuple[str, ...]:
    return tuple(Job.model_fields)


@cache
def known_keys() -> frozenset[str]:
    """Return the `group.key` paths of all options; `ov_config` and `chat_template_kwargs` accept any key below them."""
    return frozenset(_paths("", Job))


@cache
def list_keys() -> frozenset[str]:
    """Return the `group.key` paths whose values are lists."""
    found = set()
    for group, field in Job.model_fields.items():
        for model in models_in(field.annotation):
            found |= {f"{group}.{name}" for name, key in model.model_fields.items() if _is_list(key.annotation)}
    return frozenset(found)


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(_is_list(inner) for inner in get_args(hint) if get_origin(hint) is not dict)


def keys_of(group: str) -> frozenset[str]:
    return frozenset(path for path in known_keys() if path == group or path.startswith(f"{group}."))


def in_open_mapping(path: str) -> bool:
    return any(path.startswith(f"{mapping}.") for mapping in OPEN_MAPPINGS)


@cache
def path_keys() -> frozenset[str]:
    """Return the dotted paths of the keys whose values may be paths of files and directories."""
    return frozenset(_path_keys("", Job))


def _path_keys(path: str, model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = f"{path}.{name}".lstrip(".")
        if any(isinstance(one, NamesAPath) for one in field.metadata):
            yield inner
        elif inner != "checks":  # a list, whose files depend on the kinds (`path_settings.py`)
            for one in models_in(field.annotation):
                yield from _path_keys(inner, one)


@cache
def affecting(kinds: tuple[Kind, ...]) -> tuple[str, ...]:
    """Return the groups and the annotated keys that affect one of these kinds."""
    return tuple(path for path, kind in declared_affects() if kind in kinds)


def affects(path: str, kinds: tuple[Kind, ...]) -> bool:
    """Return whether the value at a dotted path affects one of these kinds.

    The annotation of a key overrides that of its group. A group whose keys differ has no annotation.
    """
    declared = _declared_kinds()
    while path not in declared and path:
        path = path.rpartition(".")[0]
    return declared.get(path) in kinds


def restricted(job: Mapping[str, Any], kinds: tuple[Kind, ...]) -> dict[str, Any]:
    """Return the part of a job that affects one of these kinds: the groups with their matching keys."""
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
    """Yield the annotated groups and keys with their kinds; a key with the kind of its group is omitted.

    Raises:
        TypeError: a key has different kinds in two options of its group.
    """
    for group, field in Job.model_fields.items():
        said = _declared(field)
        yield from ((group, kind) for kind in said)
        yield from _declared_keys(group, field.annotation, said[0] if said else None)


@cache
def _declared_kinds() -> dict[str, Kind]:
    return dict(declared_affects())


def _declared_keys(group: str, hint: Any, of_group: Kind | None) -> Iterator[tuple[str, Kind]]:
    """Yield the annotated keys of a group with their kinds; several options of a group may have the same key."""
    found: dict[str, Kind | None] = {}
    for model in models_in(hint):
        for name, key in model.model_fields.items():
            kind = next(iter(_declared(key)), of_group)
            if found.setdefault(name, kind) != kind:
                problem = f"affects {kind} in {model.__name__} but {found[name]} in another option of its group"
                raise TypeError(f"{group}.{name} {problem}; rename one of them")
    yield from ((f"{group}.{name}", kind) for name, kind in found.items() if kind is not None and kind != of_group)


def models_in(hint: Any) -> Iterator[type[BaseModel]]:
    """Yield the model classes in a type: itself, the members of a union, the items of a tuple."""
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
