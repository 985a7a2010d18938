"""Estimate the remaining time of a sweep, from the jobs or the rounds that are finished."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from hforch.runs.planned_job import PlannedJob


class Pace:
    """An estimate of the remaining time of a sweep, based on the finished jobs."""

    def __init__(self, left: Sequence[PlannedJob]) -> None:
        self._left = {one.number: one for one in left}
        self._seconds: dict[str, float] = {}
        self._samples: dict[str, int] = {}
        self._loads: list[float] = []
        self._since = time.monotonic()

    def done(self, planned: PlannedJob, record: Mapping[str, Any]) -> None:
        """Record the duration of a finished job."""
        timings = record.get("timings") or {}
        loading = 0.0 if record.get("shared_load") else sum(timings.values()) - timings.get("warmup_s", 0.0)
        took, self._since = time.monotonic() - self._since, time.monotonic()
        if not record.get("shared_load"):
            self._loads.append(loading)
        self._seconds[planned.key] = self._seconds.get(planned.key, 0.0) + max(took - loading, 0.0)
        self._samples[planned.key] = self._samples.get(planned.key, 0) + planned.samples
        self._left.pop(planned.number, None)

    def seconds_left(self) -> float | None:
        """Return the estimate in seconds; None before the first job has finished."""
        if not self._samples:
            return None
        overall = sum(self._seconds.values()) / sum(self._samples.values())
        rates = {key: self._seconds[key] / self._samples[key] for key in self._samples}
        answering = sum(one.samples * rates.get(one.key, overall) for one in self._left.values())
        loads = len({one.key for one in self._left.values()} - set(self._samples))
        return answering + loads * (sum(self._loads) / len(self._loads) if self._loads else 0.0)


class RoundPace:
    """An estimate of the remaining time of a sweep whose jobs take turns: each round takes as long as the last one."""

    def __init__(self, left: Sequence[PlannedJob]) -> None:
        self._rounds = {one.number: one.job.runtime.rounds for one in left}
        self._took: dict[int, float] = {}
        self._since = time.monotonic()

    def measured(self, planned: PlannedJob) -> None:
        """Record the duration of a round, which has just ended."""
        now = time.monotonic()
        self._took[planned.number], self._since = now - self._since, now
        self._rounds[planned.number] = max(0, self._rounds.get(planned.number, 0) - 1)

    def ended(self, planned: PlannedJob) -> None:
        """Record that no more rounds of a job follow."""
        self._rounds.pop(planned.number, None)

    def seconds_left(self) -> float | None:
        """Return the estimate in seconds; None before the first round has ended."""
        if not self._took:
            return None
        mean = sum(self._took.values()) / len(self._took)
        return sum(rounds * self._took.get(number, mean) for number, rounds in self._rounds.items())
