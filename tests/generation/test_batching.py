"""Tests of batching by length, and of the order of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hforch.config.compose import job_from_overrides
from hforch.generation.batching import by_length, in_order, padded
from hforch.generation.engine import SerialEngine
from hforch.inputs import load_inputs
from hforch.load_profiles.registry import profile_of

LENGTHS = st.lists(st.integers(0, 200), max_size=40)


@given(LENGTHS, st.integers(1, 9))
def test_every_prompt_is_in_one_batch_and_padding_never_increases(lengths: list[int], size: int) -> None:
    batches = by_length(lengths, size)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)
    assert len(batches) == -(-len(lengths) // size)
    given = [list(range(at, min(at + size, len(lengths)))) for at in range(0, len(lengths), size)]
    assert padded(lengths, batches) <= padded(lengths, given)


@given(LENGTHS, st.integers(1, 9))
def test_answers_are_returned_in_the_order_of_the_prompts(lengths: list[int], size: int) -> None:
    batches = by_length(lengths, size)
    assert in_order(batches, [[f"answer {place}" for place in batch] for batch in batches]) == [
        f"answer {place}" for place in range(len(lengths))
    ]


def test_prompts_of_similar_length_keep_their_order() -> None:
    assert by_length([10, 11, 10, 11], 2) == [[0, 1], [2, 3]]
    assert by_length([100, 1, 100, 1], 2) == [[0, 2], [1, 3]]


def test_a_run_plans_its_inputs_by_length_and_openvino_genai_does_not() -> None:
    items = ["'a'", f"'{'b' * 300}'", "'c'", f"'{'d' * 300}'"]
    words = ["prompt=question", f"inputs.items=[{','.join(items)}]", "runtime.batch_size=2", "runtime.repeat=2"]
    job = job_from_overrides(["backend=pytorch", *words])
    found = profile_of(job).plan(job, load_inputs(job.inputs))
    assert [[each.index for each in batch.inputs] for batch in found] == [[1, 3], [0, 2]] * 2
    assert [(batch.repeat, batch.index) for batch in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    job = job_from_overrides(["backend=openvino_genai", "backend.window=3", *words])
    found = profile_of(job).plan(job, load_inputs(job.inputs))
    assert [[each.index for each in batch.inputs] for batch in found] == [[0, 1, 2], [3]] * 2


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
async def test_batched_texts_equal_those_of_single_prompts(
    load: Callable[..., Any], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = load(f"backend={backend}", "precision=fp32", "ov_config=accuracy", "generation.max_new_tokens=16")
    prompts = ["The capital of France is", "Once upon a time, " * 12 + "there was", "One, two,", "A list. " * 30]
    alone = [llm.invoke(prompt) for prompt in prompts]
    seen = []
    work = SerialEngine._work
    monkeypatch.setattr(
        SerialEngine, "_work", lambda self, request: seen.append(request.prompts) or work(self, request)
    )
    assert llm.batch(prompts, batch_size=2) == alone
    assert await llm.abatch(prompts, batch_size=2) == alone
    assert seen == [[prompts[1], prompts[3]], [prompts[0], prompts[2]]] * 2
