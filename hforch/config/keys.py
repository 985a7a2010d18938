"""The keys that the schema knows, as dotted paths, whatever option of a group is chosen."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

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
    """Return the groups, and of groups that hold several kinds the keys, whose values affect one of these kinds."""
    return tuple(path for path, kind in declared_affects() if kind in kinds)


def affects(path: str, kinds: tuple[Kind, ...]) -> bool:
    """Return whether the value at a dotted path affects one of these kinds."""
    return is_below(path, affecting(kinds))


def is_below(path: str, others: Iterable[str]) -> bool:
    """Return whether a dotted path is one of others, or lies below one."""
    return any(f"{path}.".startswith(f"{one}.") for one in others)


def declared_affects() -> Iterator[tuple[str, Kind]]:
    """Yield what the schema says: a kind for each group, or for each key of a group that says none."""
    hints = get_type_hints(Job)
    for group, field in Job.model_fields.items():
        said = _declared(field)
        yield from ((group, kind) for kind in said)
        if not said:
            for name, key in hints[group].model_fields.items():
                yield from ((f"{group}.{name}", kind) for kind in _declared(key))


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
