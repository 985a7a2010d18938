"""Importing what a backend needs, before it is needed and as fast as that goes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

# transformers imports scikit-learn, which takes a second, for assisted generation alone, and hforch has none.
UNUSED = ("sklearn",)
# It imports torchao wherever that is installed, and needs it for models quantized by it alone. Importing torchao
# initializes CUDA, which forks of the process that has done so cannot use.
LATE = ("torchao",)


def preload(backend: str, precision: str | None = None) -> None:
    """Import what loading and generating on this backend will import; what cannot be is told when it is needed.

    Args:
        precision: import what only this one needs, too.
    """
    with suppress(Exception):
        for library in (*libraries_of(backend, precision), import_module(f"hforch.backends.{backend}").LLM_MODULE):
            import_module(library)


def libraries_of(backend: str, precision: str | None = None) -> tuple[str, ...]:
    """Return the modules that loading and generating on this backend will import."""
    module = import_module(f"hforch.backends.{backend}")
    return (*module.LIBRARIES, *getattr(module, "QUANTIZERS", {}).get(precision, ()))


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import libraries as fast as that goes, and without what they do not need yet."""
    try:
        with without_garbage_collection(), without_modules((*UNUSED, *LATE)):
            yield
    finally:
        _forget_availability()


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
def without_modules(modules: Sequence[str]) -> Iterator[None]:
    """Let modules that others import where they are installed, and can do without, pass for not installed."""

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
    """Let transformers find out once more what of LATE is installed: its answers are cached."""
    answers = sys.modules.get("transformers.utils.import_utils")
    for module in LATE:
        getattr(getattr(answers, f"is_{module}_available", None), "cache_clear", lambda: None)()
