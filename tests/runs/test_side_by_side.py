"""Whether the models of a sweep stay loaded side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hforch.config.compose import job_from_overrides
from hforch.machine.accelerators import Accelerator
from hforch.models.estimate import Estimate
from hforch.runs import side_by_side as module
from hforch.runs.job_context import JobContext
from hforch.runs.planned_job import PlannedJob
from hforch.runs.side_by_side import side_by_side


def planned(number: int, mb: float | None, *words: str, **more: Any) -> PlannedJob:
    expected = Estimate(mb, 0.0, 0.0, (), None if mb is not None else "it must be downloaded")
    return PlannedJob(
        number=number,
        directory=Path(str(number)),
        job=job_from_overrides(["backend=fake", *words]),
        job_context=JobContext(),
        key=more.pop("key", str(number)),
        id="",
        label=f"job {number}",
        samples=1,
        expected=expected,
        same_as=None,
        baseline=None,
        begin=lambda work: 0,
        **more,
    )


@pytest.fixture(autouse=True)
def ten_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory", lambda: {"memory_gb": 16.0, "memory_free_gb": 10.0})


def kept(jobs: Sequence[PlannedJob], devices: Sequence[Accelerator] = ()) -> tuple[bool, str]:
    found = side_by_side(jobs, {"fake": devices, "pytorch": devices})
    return found.value, found.because


def test_models_stay_loaded_if_they_fit() -> None:
    assert kept([planned(0, 1000.0), planned(1, 2000.0)]) == (
        True,
        "2 models need about 4.5 GB of CPU memory (10.0 GB are free)",
    )


def test_models_that_leave_no_margin_are_loaded_in_turns() -> None:
    fits, because = kept([planned(0, 3000.0), planned(1, 3000.0)])
    assert not fits and "8.3 GB of CPU memory (10.0 GB are free); at most 80% may be used" in because


def test_one_model_always_stays_loaded() -> None:
    assert kept([planned(0, 9000.0, key="same"), planned(1, 9000.0, key="same")]) == (True, "all jobs share one model")


def test_a_model_of_unknown_size_is_not_kept() -> None:
    fits, because = kept([planned(0, 1.0), planned(1, None)])
    assert not fits and because == "the memory of job 1 is unknown: it must be downloaded"


def test_the_job_that_needs_the_most_memory_counts_for_its_model() -> None:
    jobs = [planned(0, 1.0, key="a"), planned(1, 9000.0, key="a"), planned(2, 1.0)]
    assert not kept(jobs)[0]


@pytest.mark.parametrize(
    ("more", "reason"),
    [({"env_set": {"A": "1"}}, "environment variables"), ({}, "runtime.isolation=inline")],
)
def test_jobs_that_cannot_have_workers_at_the_same_time_are_loaded_in_turns(more: dict[str, Any], reason: str) -> None:
    inline = () if more else ("runtime.isolation=inline",)
    fits, because = kept([planned(0, 1.0), planned(1, 1.0, *inline, **more)])
    assert not fits and reason in because


def test_models_on_an_accelerator_share_its_free_memory() -> None:
    card = Accelerator("cuda:0", "card", None, 8000.0, 16000.0)
    jobs = [planned(at, 2000.0, "backend=pytorch", "device=gpu") for at in (0, 1)]
    assert kept(jobs, [card])[0]
    assert not kept(jobs, [replace(card, free_mb=6000.0)])[0]
    assert not kept(jobs)[0]  # its free memory is unknown
