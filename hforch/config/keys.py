"""The keys that the schema knows, as dotted paths, whatever option of a group is chosen."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

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
