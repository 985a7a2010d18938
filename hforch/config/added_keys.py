"""Keys that were added to the configuration later, with the values that older records had without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hforch.config.backends.registry import BACKENDS


def with_added_keys(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the job of a record that may be older than some keys, with the values that these had then."""
    backend = job.get("backend")
    if not isinstance(backend, Mapping):
        return dict(job)
    known = BACKENDS.get(str(backend.get("name")))
    return {**job, "backend": {**(known.added if known else {}), **backend}}
