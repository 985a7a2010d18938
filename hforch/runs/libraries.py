"""Importing what a backend needs, before it is needed and as fast as that goes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

# transformers imports scikit-learn, which takes a second, for assisted generation alone, and hforch has none.
UNUSED = "sklearn"


def preload(backend: str) -> None:
    """Import what loading and generating on this backend will import; what cannot be is told when it is needed."""
    with suppress(Exception):
        for library in import_module(f"hforch.backends.{backend}").LIBRARIES:
            import_module(library)


def import_runner() -> None:
    with suppress(Exception):
        import_module("hforch.runs.runner")


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Half a million objects come to stay: looking through them for garbage meanwhile costs a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def without_module(module: str) -> Iterator[None]:
    """Let a module that others import where it is installed, and can do without, pass for not installed."""

    class Hidden:
        def __init__(self, finder: Any) -> None:
            self._finder = finder

        def __getattr__(self, name: str) -> Any:
            return getattr(self._finder, name)

        def find_spec(self, name: str, *rest: Any) -> Any:
            return None if name == module else self._finder.find_spec(name, *rest)

    finders = list(sys.meta_path)
    sys.meta_path[:] = [Hidden(finder) for finder in finders]
    try:
        yield
    finally:
        sys.meta_path[:] = [getattr(finder, "_finder", finder) for finder in sys.meta_path]
