"""What a run tells while it goes: the Progress of its weights, and then its answers. A terminal or nobody watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hforch.progress import Progress, Silent


class Watcher(Progress, Protocol):
    def header(self, parts: Mapping[str, str]) -> None:
        """The job in a few words: model, backend, device, precision."""
        ...

    def question(self, item: Any) -> None:
        """The one input whose answer is streamed next."""
        ...

    def text(self, piece: str) -> None:
        """A piece of the answer that is being streamed."""
        ...

    def samples(self, total: int) -> None:
        """So many samples will come."""
        ...

    def sample(self, sample: Mapping[str, Any]) -> None:
        """One sample is finished; its record."""
        ...

    def finished(self, record: Mapping[str, Any], directory: str) -> None:
        """The run is over; its record, and where it lies."""
        ...


class Nobody(Silent):
    """A Watcher that nobody is."""

    def header(self, parts: Mapping[str, str]) -> None: ...

    def question(self, item: Any) -> None: ...

    def text(self, piece: str) -> None: ...

    def samples(self, total: int) -> None: ...

    def sample(self, sample: Mapping[str, Any]) -> None: ...

    def finished(self, record: Mapping[str, Any], directory: str) -> None: ...
