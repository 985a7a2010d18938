"""Find plugins: the modules of a package such as `hforch/trackers/`, each of which defines one entry."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

NO_ENTRIES = ("base", "registry")
"""The modules of such a package that are not entries."""


def names_of(package: ModuleType) -> tuple[str, ...]:
    """Return the names of all entries without importing them; skip modules whose names start with an underscore."""
    names = (module.name for module in iter_modules(package.__path__))
    return tuple(sorted(name for name in names if not name.startswith("_") and name not in NO_ENTRIES))


def load_entry(package: ModuleType, name: str, attribute: str) -> Any:
    """Import an entry's module and return the attribute that each module of the package defines, such as TRACKER.

    Raises:
        TypeError: the module lacks the attribute.
    """
    module = import_module(f"{package.__name__}.{name}")
    if not hasattr(module, attribute):
        raise TypeError(f"{module.__file__} does not define {attribute}; see CONTRIBUTING.md")
    return getattr(module, attribute)
