"""`model.source=hub`: a model on the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hforch.config.models.base import ModelSource
from hforch.utils.strict_model import NonEmpty

REVISION = r"^[^/.\s\\-][^/\s\\]*(/[^/.\s\\][^/\s\\]*)*$"


class HubModel(ModelSource):
    source: Literal["hub"]
    id: NonEmpty
    revision: Annotated[str, Field(pattern=REVISION, max_length=250)] | None

    shapes: ClassVar[Mapping[str, str]] = {REVISION: "a branch, a tag or a commit, such as main"}

    @property
    def label(self) -> str:
        return self.id

    @classmethod
    def pinned(cls, values: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        return {**values, "revision": record.get("commit") or values["revision"]}


SOURCE = HubModel
