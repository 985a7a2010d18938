"""`model.source=gguf`: a GGUF file on this machine."""

from __future__ import annotations

from typing import Literal

from hforch.config.models.base import ModelSource
from hforch.utils.strict_model import PathText


class GGUFModel(ModelSource):
    source: Literal["gguf"]
    path: PathText

    is_local = True

    @property
    def label(self) -> str:
        return self.path


SOURCE = GGUFModel
