"""`model.source=local`: a directory on this machine."""

from __future__ import annotations

from typing import Literal

from hforch.config.models.base import ModelSource
from hforch.utils.strict_model import NonEmpty


class LocalModel(ModelSource):
    source: Literal["local"]
    path: NonEmpty

    is_local = True

    @property
    def label(self) -> str:
        return self.path


SOURCE = LocalModel
