"""Fetch models from their sources; each source is the module of this package named in `model.source`.

A source module has these functions. `model` is an instance of the source's class in `hforch/config/models/`:

    fetch(model, progress) -> Checkpoint           find, download or convert the weights
    local_files(model) -> LocalFiles               find the existing files, for estimates; never raises
    examine(model) -> Found | None                 check the existing files; None if they are to be downloaded
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from hforch.config.models.base import ModelSource
from hforch.errors import HforchError, ModelError
from hforch.models.checkpoint import Checkpoint, Found, LocalFiles
from hforch.utils.progress import Progress


class Source(Protocol):
    def fetch(self, model: ModelSource, progress: Progress) -> Checkpoint: ...

    def local_files(self, model: ModelSource) -> LocalFiles: ...

    def examine(self, model: ModelSource) -> Found | None: ...


def fetch(model: ModelSource, progress: Progress) -> Checkpoint:
    """Find, download or convert the weights of a model, using cached results.

    Raises:
        ModelError: the weights are not available; the message gives the reason and a remedy.
    """
    try:
        return _source_of(model).fetch(model, progress)
    except HforchError:
        raise
    except OSError as error:
        raise ModelError(f"Cannot read or write the weights: {error}") from error


def local_files(model: ModelSource) -> LocalFiles:
    """Return the files of a model on this machine, without downloading or reading large files."""
    return _source_of(model).local_files(model)


def examine(model: ModelSource) -> Found | None:
    """Check a model as far as possible without network access and without reading large files.

    Returns:
        the directory to load from and the kind of its files; None if a download or a conversion creates them.

    Raises:
        ModelError: the model cannot be fetched, for the reason in the message.
    """
    try:
        return _source_of(model).examine(model)
    except OSError as error:
        raise ModelError(f"Cannot read the weights: {error}") from error


def _source_of(model: ModelSource) -> Source:
    return cast(Source, importlib.import_module(f"hforch.models.{model.source}"))
