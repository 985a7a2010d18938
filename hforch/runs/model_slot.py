"""The model that a process keeps loaded between jobs with the same load key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hforch.machine import accelerators

if TYPE_CHECKING:
    from hforch.backends.base import LoadedModel, PreparedModel
    from hforch.runs.warmup import Shape


@dataclass
class ModelSlot:
    """A loaded model and its state, shared by the jobs of a process.

    Attributes:
        key: the load key of the loaded model; empty if no model is loaded.
        prepared: the weights on disk.
        loaded: the model.
        timings: the durations of preparing and loading it, in seconds by name.
        memory: the memory peaks of the process until the end of loading.
        warm: the batch shapes that are warmed up.
        has_scored: whether the model has computed scores; its engine may then hold memory that the next
            job does not need.
        batch_size: the batch size of the last job, for which accelerator allocators cache memory.
        first: a function that times the first batch again, and the batch's first duration in seconds.
        process: how this process was started, for the record.
        loads: the index of this load among those of each job, by the job's directory.
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
    loads: dict[Path, int] = field(default_factory=dict)

    def index_of_load(self, directory: Path, earlier: Iterable[int]) -> int:
        """Return the index of the load of this model among the loads with which a job was measured, from 0.

        Args:
            directory: the directory of the job.
            earlier: the indices of the loads with which its earlier rounds were measured.
        """
        return self.loads.setdefault(directory, max(earlier, default=-1) + 1)

    def drop(self) -> None:
        """Drop the model and free its memory, including that of accelerators."""
        self.key, self.warm, self.has_scored, self.loads = "", set(), False, {}
        self.prepared = self.loaded = self.timings = self.memory = self.first = None
        accelerators.release()

    def again(self) -> tuple[float, float] | None:
        """Time the first batch again; return its first and its new duration in seconds, or None if that fails."""
        if self.first is None:
            return None
        measure, seconds = self.first
        try:
            return seconds, measure()
        except Exception:
            return None
