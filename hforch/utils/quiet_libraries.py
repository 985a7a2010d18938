"""Silence library messages that are of no help to the user, while a model is loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

# When imported, these libraries warn about missing kernels for other hardware, and about each other.
NOISY = ("torchao", "torch.utils._pytree", "nncf", "optimum", "transformers.generation.configuration_utils")


@contextmanager
def quiet() -> Iterator[None]:
    """Log only errors of these libraries, and disable progress bars of transformers, while the block runs."""
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
