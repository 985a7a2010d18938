"""What the options of a backend say, besides their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from hforch.errors import Mistake
from hforch.utils.strict_model import StrictModel


class Refusal(NamedTuple):
    """Values of a key that a backend does not take; `problem` is the end of a sentence about one of them."""

    path: str
    values: tuple[str, ...]
    problem: str
    hint: str


class BackendOptions(StrictModel):
    """What the configuration says of a backend.

    A key decides the loaded model, unless it says that it affects something else:
    `timeout_s: Annotated[Seconds, NOTHING]` (`hforch/config/affects.py`). A loaded model then serves jobs with other
    values of it, and takes them over in `LoadedModel.configure`.

    Attributes:
        library: whose devices it runs on, and so whose names of them it knows; None for any.
        refuses: values of other groups that it does not take.
        is_reference: whether it is the baseline among jobs that are equally precise.
    """

    name: str

    library: ClassVar[Literal["torch", "openvino"] | None] = None
    refuses: ClassVar[tuple[Refusal, ...]] = ()
    is_reference: ClassVar[bool] = False

    @classmethod
    def mistakes(cls, group: str, tree: Mapping[str, Any]) -> Iterator[Mistake]:
        """Yield what is wrong between the backend's keys and those of a group (backend, device or generation).

        Both groups are valid alone.
        """
        yield from ()
