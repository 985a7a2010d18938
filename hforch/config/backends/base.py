"""The base class of a backend's options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from hforch.errors import Mistake
from hforch.utils.strict_model import StrictModel


class Refusal(NamedTuple):
    """Values of a key that a backend does not support; `problem` follows the value in the message."""

    path: str
    values: tuple[str, ...]
    problem: str
    hint: str


class BackendOptions(StrictModel):
    """The options of a backend in the configuration.

    A key affects the loaded model unless its annotation states otherwise, as in
    `timeout_s: Annotated[Seconds, NOTHING]` (`hforch/config/affects.py`). A loaded model then serves jobs with other
    values of this key, which `LoadedModel.configure` applies.

    Attributes:
        library: the library whose device names it accepts; None if it accepts all names.
        refuses: values of other groups that it does not support.
        synonyms: its names in other tools, for hints about an unknown backend, separated by spaces.
        is_reference: whether its job is preferred as the baseline among equally precise jobs.
    """

    name: str

    library: ClassVar[Literal["torch", "openvino"] | None] = None
    refuses: ClassVar[tuple[Refusal, ...]] = ()
    synonyms: ClassVar[str] = ""
    is_reference: ClassVar[bool] = False

    @classmethod
    def mistakes(cls, group: str, tree: Mapping[str, Any]) -> Iterator[Mistake]:
        """Yield conflicts between the backend's keys and those of a group (backend, device or generation).

        The types of both groups are valid.
        """
        yield from ()
