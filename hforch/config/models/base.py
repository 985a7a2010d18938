"""The base class of the sources of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from hforch.utils.strict_model import StrictModel

AttnImplementation = Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]


class ModelSource(StrictModel):
    """The source of the weights.

    Attributes:
        is_local: whether it refers to a file or directory on this machine, which other machines may not have.
        shapes: descriptions of the patterns that its keys must match, for messages.
    """

    trust_remote_code: bool
    attn_implementation: AttnImplementation | None
    source: str

    is_local: ClassVar[bool] = False
    shapes: ClassVar[Mapping[str, str]] = {}

    @property
    def label(self) -> str:
        """The name of the model as terminals show it."""
        raise NotImplementedError

    @classmethod
    def pinned(cls, values: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values with which a frozen recipe loads the same files again.

        Args:
            record: the recorded files of the run.
        """
        return dict(values)
