"""`model.source=local`: a directory on this machine."""

from __future__ import annotations

from typing import Literal

from hforch.config.models.base import ModelSource
from hforch.utils.strict_model import PathText


class LocalModel(ModelSource):
    source: Literal["local"]
    path: PathText

    is_local = True

    @property
    def label(self) -> str:
        return self.path


SOURCE = LocalModel
