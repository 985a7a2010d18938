"""What a source of weights says, besides its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from hforch.utils.strict_model import StrictModel

AttnImplementation = Literal["eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]


class ModelSource(StrictModel):
    """Where the weights are.

    Attributes:
        is_local: whether it names a file or folder of this machine, which others may not have.
        shapes: what a text must be that matches a pattern of one of its keys, by pattern.
    """

    trust_remote_code: bool
    attn_implementation: AttnImplementation | None
    source: str

    is_local: ClassVar[bool] = False
    shapes: ClassVar[Mapping[str, str]] = {}

    @property
    def label(self) -> str:
        """The name of the model for terminals."""
        raise NotImplementedError

    @classmethod
    def pinned(cls, values: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of its keys with which a frozen recipe gets the same files again.

        Args:
            record: what the record of a run says of the files that it had.
        """
        return dict(values)
