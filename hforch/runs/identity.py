"""Compute the identities of a job: the load key (same loaded model) and the job id (same outputs)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from hforch.backends.base import capabilities
from hforch.checks.json_schemas import schema_of
from hforch.config.added_keys import without_added_keys
from hforch.config.affects import JOB_ID, LOAD_KEY, SAME_RUN
from hforch.config.keys import affecting, restricted
from hforch.config.schema import Job
from hforch.inputs import Input

ALWAYS = {"tracker": {"kind": "none"}}  # part of every job id, for compatibility: job ids once included the tracker


def load_key(job: Job) -> str:
    """Return a hash, 16 hex digits, of all settings that affect the loaded model, except those the backend ignores."""
    tree = restricted(_without(_dumped(job), capabilities(job).ignores), LOAD_KEY)
    return _digest({path: _get(tree, path) for path in affecting(LOAD_KEY)})


def job_id(job: Job, inputs: Sequence[Input]) -> str:
    """Return a hash, 16 hex digits, of all settings that affect the outputs, and of the inputs' contents.

    The source of the inputs does not count, but their order and the batch size do, because these determine which inputs
    share a batch.
    """
    tree = restricted(_without(_dumped(job), [*capabilities(job).ignores, "inputs"]), JOB_ID)
    if isinstance(named := job.generation.json_schema, str):  # a file: hash its contents instead of its name
        with suppress(ValueError):  # the backend's check reports errors in it
            tree["generation"] = tree["generation"] | {"json_schema": schema_of(named)}
    return _digest({**tree, **ALWAYS, "inputs": [each.id for each in inputs]})


def equivalence_key(job: Job, identity: str) -> tuple[str, str]:
    """Return a key that is equal for two jobs if one run can serve as both.

    Args:
        job: the job.
        identity: its job id.
    """
    beside = tuple(kind for kind in SAME_RUN if kind not in JOB_ID)
    return identity, json.dumps(restricted(job.model_dump(mode="json"), beside), sort_keys=True)


def _dumped(job: Job) -> dict[str, Any]:
    return without_added_keys(job.model_dump(mode="json"))


def _digest(tree: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def _get(tree: Mapping[str, Any], path: str) -> Any:
    value: Any = tree
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _without(tree: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    left = dict(tree)
    for path in paths:
        group, _, key = path.partition(".")
        if not key:
            left.pop(group, None)
        elif isinstance(left.get(group), Mapping):
            left[group] = {name: value for name, value in left[group].items() if name != key}
    return left
