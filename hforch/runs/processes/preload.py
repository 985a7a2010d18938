"""Import the libraries of a backend early and quickly."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

# transformers imports scikit-learn (1 s), but only for assisted generation, which hforch does not use.
UNUSED = ("sklearn",)
# transformers imports torchao if it is installed, but needs it only for models quantized with it. Importing torchao
# initializes CUDA, so forks of the process could not use CUDA.
LATE = ("torchao",)


def preload(backend: str, precision: str | None = None) -> None:
    """Import the libraries that a backend uses for loading and generating; ignore errors, which recur on first use.

    Args:
        backend: the name of the backend.
        precision: also import the libraries that only this precision needs.
    """
    with suppress(Exception):
        with without_late_modules():
            for library in (*libraries_of(backend), import_module(f"hforch.backends.{backend}").LLM_MODULE):
                import_module(library)
        for library in libraries_of(backend, precision):
            import_module(library)


def libraries_of(backend: str, precision: str | None = None) -> tuple[str, ...]:
    """Return the names of the modules that a backend uses for loading and generating."""
    module = import_module(f"hforch.backends.{backend}")
    return (*module.LIBRARIES, *getattr(module, "QUANTIZERS", {}).get(precision, ()))


@contextmanager
def quick_imports() -> Iterator[None]:
    """Speed up imports in the block: disable garbage collection and hide modules that are not needed."""
    with without_garbage_collection(), without_modules(UNUSED), without_late_modules():
        yield


@contextmanager
def without_late_modules() -> Iterator[None]:
    """Hide the modules in LATE in the block, unless they are already imported."""
    try:
        with without_modules([name for name in LATE if name not in sys.modules]):
            yield
    finally:
        _forget_availability()


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable garbage collection in the block; imports create half a million objects and take 10% longer with it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def without_modules(modules: Sequence[str]) -> Iterator[None]:
    """Hide optional modules in the block, as if they were not installed."""

    class Hidden:
        def __init__(self, finder: Any) -> None:
            self._finder = finder

        def __getattr__(self, name: str) -> Any:
            return getattr(self._finder, name)

        def find_spec(self, name: str, *rest: Any) -> Any:
            return None if name in modules else self._finder.find_spec(name, *rest)

    finders = list(sys.meta_path)
    sys.meta_path[:] = [Hidden(finder) for finder in finders]
    try:
        yield
    finally:
        sys.meta_path[:] = [getattr(finder, "_finder", finder) for finder in sys.meta_path]


def _forget_availability() -> None:
    """Clear transformers' cached results of whether the modules in LATE are installed."""
    answers = sys.modules.get("transformers.utils.import_utils")
    for module in LATE:
        getattr(getattr(answers, f"is_{module}_available", None), "cache_clear", lambda: None)()
