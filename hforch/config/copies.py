"""Copies of configurations: pickling is three to seven times as fast as `copy.deepcopy`."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def copies(value: T) -> Callable[[], T]:
    """What gives a copy of the value as it is now, again and again."""
    try:
        return partial(pickle.loads, pickle.dumps(value))
    except (pickle.PicklingError, AttributeError, TypeError):
        # Hydra has imported the module of one of its types twice, as it does when it looks for plugins.
        return partial(copy.deepcopy, copy.deepcopy(value))


def copied(value: T) -> T:
    return copies(value)()
