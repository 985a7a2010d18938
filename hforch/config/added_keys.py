"""Add keys and groups to the jobs of older records, if they were added to the configuration later.

Each class lists its later keys in `added`, with the values that older records imply; `Job` lists whole groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from hforch.config.keys import models_in
from hforch.config.schema import Job
from hforch.utils.strict_model import StrictModel

Change = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
"""How the values of a class change, given its `added` and the values."""


def with_added_keys(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the job of a record, with the keys that an older record lacks set to the values that it implies.

    Parts that do not match the types, as in a manually edited record, stay unchanged.
    """
    return _changed(Job, job, lambda added, values: {**added, **values})


def without_added_keys(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job without the added keys whose values equal those that older records imply."""
    return _changed(Job, job, _without)


def _without(added: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not (name in added and added[name] == value)}


def _changed(model: type[BaseModel], values: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Return the values of a class, with `change` applied to them and to each nested part.

    `change` receives the `added` of the class whose values it changes.
    """
    changed = change(_added(model), values)
    for name, members in _parts(model):
        part = changed.get(name)
        if isinstance(part, list | tuple):
            changed[name] = [_changed_member(members, one, change) for one in part]
        elif isinstance(part, Mapping):
            changed[name] = _changed_member(members, part, change)
    return changed


def _changed_member(members: tuple[type[BaseModel], ...], values: Any, change: Change) -> Any:
    model = _chosen(members, values)
    return values if model is None else _changed(model, values, change)


def _chosen(members: tuple[type[BaseModel], ...], values: Any) -> type[BaseModel] | None:
    """Return the class that matches the values of a part, or None."""
    if not isinstance(values, Mapping):
        return None
    tag = _tag(members)
    chosen = (one for one in members if not tag or values.get(tag) in get_args(one.model_fields[tag].annotation))
    return next(chosen, None)


def _added(model: type[BaseModel]) -> Mapping[str, Any]:
    return model.added if issubclass(model, StrictModel) else {}


@cache
def _parts(model: type[BaseModel]) -> tuple[tuple[str, tuple[type[BaseModel], ...]], ...]:
    """Return the fields whose types declare `added` keys, directly or in nested types, each with those types."""
    fields = ((name, tuple(models_in(field.annotation))) for name, field in model.model_fields.items())
    return tuple((name, members) for name, members in fields if any(_has_added(one) for one in members))


@cache
def _has_added(model: type[BaseModel]) -> bool:
    """Return whether older records may lack keys of a class or of the types of its fields."""
    return bool(_added(model) or _parts(model))


@cache
def _tag(members: tuple[type[BaseModel], ...]) -> str:
    """Return the discriminator key of a union, or an empty string for a single class."""
    if len(members) == 1:
        return ""
    names = (name for name, field in members[0].model_fields.items() if get_origin(field.annotation) is Literal)
    return next((name for name in names if all(name in one.model_fields for one in members)), "")
