"""What makes two jobs the same: the load key (the same loaded model) and the job id (the same outputs)."""

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

ALWAYS = {"tracker": {"kind": "none"}}  # of every job id, from when the trackers were a part of it and there was one


def load_key(job: Job) -> str:
    """16 hex digits over all that decides the loaded model; what the backend ignores is left out."""
    tree = restricted(_without(_dumped(job), capabilities(job).ignores), LOAD_KEY)
    return _digest({path: _get(tree, path) for path in affecting(LOAD_KEY)})


def job_id(job: Job, inputs: Sequence[Input]) -> str:
    """16 hex digits over all of the configuration that decides the outputs, the inputs' contents included.

    The inputs stand for themselves, wherever they were read from; their order and the batch size decide which share
    a batch, so both count.
    """
    tree = restricted(_without(_dumped(job), [*capabilities(job).ignores, "inputs"]), JOB_ID)
    if isinstance(named := job.generation.json_schema, str):  # its contents count, wherever they were read from
        with suppress(ValueError):  # what is wrong with it is told by the backend's check
            tree["generation"] = tree["generation"] | {"json_schema": schema_of(named)}
    return _digest({**tree, **ALWAYS, "inputs": [each.id for each in inputs]})


def equivalence_key(job: Job, identity: str) -> tuple[str, str]:
    """Return what is the same for two jobs if one run can stand for both.

    Args:
        identity: the job id.
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
