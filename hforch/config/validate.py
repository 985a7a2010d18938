"""From a plain tree to a frozen Job: the shape of each group, then what must hold between them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.diagnose.validation_errors import mistakes_from
from hforch.config.rules import RULES
from hforch.config.schema import Job
from hforch.errors import ConfigError, Mistake


def validate(tree: Mapping[str, Any]) -> Job:
    """The job that a composed configuration describes.

    Raises:
        ConfigError: it describes none; holds every mistake.
    """
    found = mistakes_in(tree)
    if found:
        raise ConfigError(found)
    return Job.model_validate(tree)


def mistakes_in(tree: Mapping[str, Any], leave_out: Collection[str] = ()) -> list[Mistake]:
    """Every mistake in a composed configuration, ordered by path.

    Args:
        tree: plain containers, one key a group.
        leave_out: what nobody can judge, because it is a mistake already: groups whose option is none, and the dotted
            paths of values that are not known.
    """
    found = [mistake for mistake in _shape(tree) if not _lies_in(mistake.path, leave_out)]
    unsound = {path.partition(".")[0] for path in (*leave_out, *(mistake.path for mistake in found))}
    for rule in RULES:
        if not rule.groups & unsound:
            found.extend(rule.check(tree))
    return sorted(found, key=lambda mistake: mistake.path)


def _lies_in(path: str, places: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}.") for place in places)


def _shape(tree: Mapping[str, Any]) -> list[Mistake]:
    unknown = [
        Mistake(str(key), "hforch has no such group", hint=did_you_mean(str(key), Job.model_fields))
        for key in tree
        if key not in Job.model_fields
    ]
    known = {key: value for key, value in tree.items() if key in Job.model_fields}
    try:
        Job.model_validate(known)
    except ValidationError as error:
        return unknown + mistakes_from(error.errors(include_url=False), known)
    return unknown
