"""Keys that were added to the configuration later, with the values that older records had without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ADDED: Mapping[str, Mapping[str, Any]] = {
    "pytorch": {"kv_cache": "dynamic", "compile": False},
    "fake": {"cold_s": 0.0, "cold_calls": 0},
}
"""Keys of the group backend, by the backend's name."""


def completed(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the job of a record that may be older than some keys, with the values that these had then."""
    backend = job.get("backend")
    if not isinstance(backend, Mapping):
        return dict(job)
    return {**job, "backend": {**ADDED.get(str(backend.get("name")), {}), **backend}}
