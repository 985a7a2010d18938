"""The options of all backends, found in the modules of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hforch.config import backends
from hforch.config.backends.base import BackendOptions
from hforch.utils.entries import load_entry, names_of
from hforch.utils.strict_model import union_of

BACKENDS: Mapping[str, type[BackendOptions]] = {
    name: load_entry(backends, name, "OPTIONS") for name in names_of(backends)
}
"""The class of each backend's options, by name."""

if TYPE_CHECKING:
    AnyBackend = BackendOptions
else:
    AnyBackend = union_of(tuple(BACKENDS.values()), "name")
