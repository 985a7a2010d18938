"""Find the entries of a package in which each entry is a module, such as the trackers in `hforch/trackers/`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

NO_ENTRIES = ("base", "registry")
"""Modules that each such package may have beside its entries."""


def names_of(package: ModuleType) -> tuple[str, ...]:
    """Return the names of all entries, without importing them; modules that begin with an underscore are none."""
    names = (module.name for module in iter_modules(package.__path__))
    return tuple(sorted(name for name in names if not name.startswith("_") and name not in NO_ENTRIES))


def load_entry(package: ModuleType, name: str, attribute: str) -> Any:
    """Import an entry, and return what its module calls by the name that all entries of the package use.

    Raises:
        TypeError: it has no such attribute.
    """
    module = import_module(f"{package.__name__}.{name}")
    if not hasattr(module, attribute):
        raise TypeError(f"{module.__file__} defines no {attribute}; see CONTRIBUTING.md")
    return getattr(module, attribute)
