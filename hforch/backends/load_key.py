"""The load key of a job, which identifies its loaded model, and the digest of a part of a configuration."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from hforch.backends.base import capabilities
from hforch.config.added_keys import without_added_keys
from hforch.config.affects import LOAD_KEY
from hforch.config.keys import affecting, restricted
from hforch.config.schema import Job


def load_key(job: Job) -> str:
    """Return a hash, 16 hex digits, of all settings that affect the loaded model, except those the backend ignores."""
    tree = restricted(without(dumped(job), capabilities(job).ignores), LOAD_KEY)
    return digest({path: _get(tree, path) for path in affecting(LOAD_KEY)})


def dumped(job: Job) -> dict[str, Any]:
    """Return the values of a job, without keys that were added with the value that older records imply."""
    return without_added_keys(job.model_dump(mode="json"))


def digest(tree: Mapping[str, Any]) -> str:
    """Return a hash of a part of a configuration, 16 hex digits."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def _get(tree: Mapping[str, Any], path: str) -> Any:
    value: Any = tree
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def without(tree: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return a configuration without these groups and keys."""
    left = dict(tree)
    for path in paths:
        group, _, key = path.partition(".")
        if not key:
            left.pop(group, None)
        elif isinstance(left.get(group), Mapping):
            left[group] = {name: value for name, value in left[group].items() if name != key}
    return left
