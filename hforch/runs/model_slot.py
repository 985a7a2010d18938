"""The model that a process holds from one job to the next, as long as their load key is the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hforch.machine import accelerators

if TYPE_CHECKING:
    from hforch.backends.base import LoadedModel, PreparedModel
    from hforch.runs.warmup import Shape


@dataclass
class ModelSlot:
    """What of a run outlives it.

    Attributes:
        key: the load key of the model in memory; empty when there is none.
        timings: what loading it took, seconds by name.
        memory: the peaks of the process up to the end of loading.
        warm: the shapes of batches that the model has been warmed up for.
        has_scored: whether it has read given tokens: what its engine keeps since then is not the next job's memory.
        batch_size: that of the last job, for which the allocators of accelerators keep memory.
        first: measures the first batch once more; and the seconds that it took at first.
        process: how this process was started, for the record.
    """

    key: str = ""
    prepared: PreparedModel | None = None
    loaded: LoadedModel | None = None
    timings: Mapping[str, float] | None = None
    memory: Mapping[str, Any] | None = None
    warm: set[Shape] = field(default_factory=set)
    has_scored: bool = False
    batch_size: int = 0
    first: tuple[Callable[[], float], float] | None = None
    process: Mapping[str, Any] = field(default_factory=lambda: {"start": "inline"})

    def drop(self) -> None:
        """Forget the model, so that its memory, that of accelerators too, is free for another."""
        self.key, self.warm, self.has_scored = "", set(), False
        self.prepared = self.loaded = self.timings = self.memory = self.first = None
        accelerators.release()

    def again(self) -> tuple[float, float] | None:
        """The seconds of the first batch, at first and now; None if it cannot be repeated."""
        if self.first is None:
            return None
        measure, seconds = self.first
        try:
            return seconds, measure()
        except Exception:
            return None
