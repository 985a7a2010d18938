"""The sources of weights: a module of this folder for each, named as it is in `model.source`.

The module of a source offers, with the class of its keys, in `hforch/config/models/`, as `model`:

    fetch(model, progress) -> Checkpoint           the weights, found, downloaded or converted
    local_files(model) -> LocalFiles               what of them is on this machine; for estimates, so it never raises
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from hforch.config.models.base import ModelSource
from hforch.errors import HforchError, ModelError
from hforch.models.checkpoint import Checkpoint, LocalFiles
from hforch.utils.progress import Progress


class Source(Protocol):
    def fetch(self, model: ModelSource, progress: Progress) -> Checkpoint: ...

    def local_files(self, model: ModelSource) -> LocalFiles: ...


def fetch(model: ModelSource, progress: Progress) -> Checkpoint:
    """Have the weights on this machine: found, downloaded, or converted. What was done once is not done again.

    Raises:
        ModelError: they cannot be had; the message says why, and what to do.
    """
    try:
        return _source_of(model).fetch(model, progress)
    except HforchError:
        raise
    except OSError as error:
        raise ModelError(f"The weights cannot be read or written: {error}") from error


def local_files(model: ModelSource) -> LocalFiles:
    """Return what of the weights is on this machine; nothing is downloaded, and no large file is read."""
    return _source_of(model).local_files(model)


def _source_of(model: ModelSource) -> Source:
    return cast(Source, importlib.import_module(f"hforch.models.{model.source}"))
