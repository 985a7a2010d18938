"""Validate a plain tree and convert it to a frozen Job: first the types of each group, then the rules between keys."""

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
    """Return the job of a composed configuration.

    Raises:
        ConfigError: the configuration is invalid; contains all errors.
    """
    found = mistakes_in(tree)
    if found:
        raise ConfigError(found)
    return Job.model_validate(tree)


def mistakes_in(tree: Mapping[str, Any], leave_out: Collection[str] = ()) -> list[Mistake]:
    """Return all errors in a composed configuration, ordered by path.

    Args:
        tree: plain containers, one key per group.
        leave_out: groups and dotted paths that already have an error, such as an unknown option or a value that
            cannot be resolved; errors in them are not reported.
    """
    found = [mistake for mistake in _shape(tree) if not _is_below(mistake.path, leave_out)]
    unsound = {path.partition(".")[0] for path in (*leave_out, *(mistake.path for mistake in found))}
    for rule in RULES:
        if not rule.groups & unsound:
            found.extend(rule.check(tree))
    return sorted(found, key=lambda mistake: mistake.path)


def _is_below(path: str, places: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}.") for place in places)


def _shape(tree: Mapping[str, Any]) -> list[Mistake]:
    unknown = [
        Mistake(str(key), "unknown group", hint=did_you_mean(str(key), Job.model_fields))
        for key in tree
        if key not in Job.model_fields
    ]
    known = {key: value for key, value in tree.items() if key in Job.model_fields}
    try:
        Job.model_validate(known)
    except ValidationError as error:
        return unknown + mistakes_from(error.errors(include_url=False), known)
    return unknown
