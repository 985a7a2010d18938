"""Copy configurations by pickling, which is three to seven times as fast as `copy.deepcopy`."""

from __future__ import annotations

import copy
import pickle
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


def copies(value: T) -> Callable[[], T]:
    """Return a function that returns copies of the value in its current state."""
    try:
        return partial(pickle.loads, pickle.dumps(value))
    except (pickle.PicklingError, AttributeError, TypeError):
        # Hydra imports the modules of some types twice when it searches for plugins; these cannot be pickled.
        return partial(copy.deepcopy, copy.deepcopy(value))


def copied(value: T) -> T:
    return copies(value)()


def packed(value: T) -> Callable[[], T]:
    """Return a function that returns copies of the value, which is stored compressed to a tenth of the memory."""
    try:
        return partial(_unpacked, zlib.compress(pickle.dumps(value), level=1))
    except (pickle.PicklingError, AttributeError, TypeError):
        return copies(value)


def _unpacked(data: bytes) -> Any:
    return pickle.loads(zlib.decompress(data))
