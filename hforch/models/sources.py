"""One function for all sources of weights."""

from __future__ import annotations

import importlib

from hforch.config.schema import GGUFModel, HubModel, LocalModel, WheelModel
from hforch.errors import HforchError, ModelError
from hforch.models.checkpoint import Checkpoint
from hforch.utils.progress import Progress


def fetch(model: HubModel | LocalModel | GGUFModel | WheelModel, progress: Progress) -> Checkpoint:
    """Have the weights on this machine: found, downloaded, or converted. What was done once is not done again.

    Raises:
        ModelError: they cannot be had; the message says why, and what to do.
    """
    source = importlib.import_module(f"hforch.models.{model.source}")
    try:
        checkpoint: Checkpoint = source.fetch(model, progress)
    except HforchError:
        raise
    except OSError as error:
        raise ModelError(f"The weights cannot be read or written: {error}") from error
    return checkpoint
