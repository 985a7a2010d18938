"""Keeping libraries from talking over a program that only loads a model: nothing they say here helps anyone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

# While they are imported they complain of kernels for other hardware, and of each other.
NOISY = ("torchao", "torch.utils._pytree", "nncf", "optimum", "transformers.generation.configuration_utils")


@contextmanager
def quiet() -> Iterator[None]:
    """Let only errors through, and show no progress bars, until the model is loaded."""
    levels = {name: logging.getLogger(name).level for name in NOISY}
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import logging as transformers_logging

    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
