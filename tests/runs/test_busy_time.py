"""BusyTime counts overlapping batches once and does not count idle time."""

from __future__ import annotations

import pytest

from hforch.runs import busy_time
from hforch.runs.busy_time import BusyTime


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(busy_time.time, "perf_counter", lambda: now[0])
    return now


def test_sequential_batches_are_summed_by_repeat(at: list[float]) -> None:
    busy = BusyTime()
    for repeat, begins, ends in [(0, 0, 1), (0, 3, 5), (1, 5, 9)]:
        at[0] = begins
        with busy.of_batch(repeat):
            at[0] = ends
    assert busy.seconds == {0: 3, 1: 4}


def test_overlapping_batches_count_once(at: list[float]) -> None:
    busy = BusyTime()
    contexts = {}
    for when, name in [(0, "a"), (0.5, "b"), (1, "a"), (2, "c"), (2.5, "c"), (3, "b"), (10, "d"), (11, "d")]:
        at[0] = when
        if name in contexts:
            contexts.pop(name).__exit__(None, None, None)
        else:
            contexts[name] = busy.of_batch(0)
            contexts[name].__enter__()
    assert busy.seconds == {0: 4}


def test_an_interrupted_batch_adds_nothing(at: list[float]) -> None:
    busy = BusyTime()
    interrupted = busy.of_batch(0)
    interrupted.__enter__()
    at[0] = 5
    assert not interrupted.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert busy.seconds == {}
    with busy.of_batch(0):
        at[0] = 6
    assert busy.seconds == {0: 1}
