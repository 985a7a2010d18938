"""The options of `backend=fake`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from hforch.config.backends.base import BackendOptions
from hforch.utils.strict_model import Count, NonEmpty, Seconds, StrictModel


class FakeReply(StrictModel):
    match: str
    text: str


class FakeFailure(StrictModel):
    match: str
    error: NonEmpty
    after: Count


class FakeBackend(BackendOptions):
    name: Literal["fake"]
    replies: Annotated[tuple[FakeReply, ...], Field(strict=False)]
    failures: Annotated[tuple[FakeFailure, ...], Field(strict=False)]
    load_s: Seconds
    prefill_s: Seconds
    token_s: Seconds
    cold_s: Seconds
    cold_calls: Count
    remote: bool

    added: ClassVar[Mapping[str, Any]] = {"cold_s": 0.0, "cold_calls": 0, "remote": False}


OPTIONS = FakeBackend
