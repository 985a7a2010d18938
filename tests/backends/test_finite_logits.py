"""Tests that NaN logits cause an error instead of arbitrary text, with a model that returns NaN after one token id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import EXACT

from hforch.errors import GenerationError

IN_TRANSFORMERS = ("pytorch", "openvino")
"""The backends that generate with transformers."""
GOOD, BROKEN = "The brain", "What is the brain?"
MESSAGE = "the model returned NaN or infinite logits"


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_damaged(tmp_path_factory.mktemp("tiny") / "damaged", "?")


@pytest.fixture(params=IN_TRANSFORMERS)
def llm(request: pytest.FixtureRequest, load: Callable[..., Any], damaged: Path) -> Any:
    words = ["model=local", f"model.path={damaged}", f"backend={request.param}", *EXACT, "generation.max_new_tokens=6"]
    return load(*words, "runtime.batch_size=2")


@pytest.mark.model
def test_a_prompt_without_finite_logits_is_an_error(llm: Any) -> None:
    remedy = "precision=fp32 ov_config=accuracy" if hasattr(llm.engine.model, "ov_config") else "precision=fp32"
    with pytest.raises(GenerationError, match=rf"^{MESSAGE} at token 1 of the answer: .*; try {remedy}$"):
        llm.invoke(BROKEN)
    with pytest.raises(GenerationError, match=MESSAGE):
        list(llm.stream(BROKEN))


@pytest.mark.model
def test_the_error_names_the_prompts_of_the_batch(llm: Any) -> None:
    assert "?" not in llm.invoke(GOOD)
    with pytest.raises(GenerationError, match=f"{MESSAGE} for prompt 2 of 2 in the batch at token 1 "):
        llm.batch([GOOD, BROKEN])
    with pytest.raises(GenerationError, match=f"{MESSAGE} for prompts 1, 2 of 2 in the batch"):
        llm.batch([BROKEN, BROKEN])
    assert llm.batch([GOOD, GOOD]) == [llm.invoke(GOOD)] * 2


@pytest.mark.model
@pytest.mark.parametrize(
    "arguments",
    [{"temperature": 1.0}, {"temperature": 1.0, "top_p": 0.9}, {"num_beams": 2}, {"repetition_penalty": 1.2}],
)
def test_every_decoding_method_detects_nan(llm: Any, arguments: dict[str, Any]) -> None:
    assert llm.invoke(GOOD, **arguments)
    with pytest.raises(GenerationError, match=f"^{MESSAGE} at token 1 "):
        llm.invoke(BROKEN, **arguments)
    with pytest.raises(GenerationError, match=f"^{MESSAGE} for prompt 2 of 2 in the batch at token 1 "):
        llm.batch([GOOD, BROKEN], **arguments)


@pytest.mark.model
def test_excluded_tokens_cause_no_error(llm: Any) -> None:
    """A JSON Schema sets the logits of all other tokens to minus infinity."""
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    assert llm.invoke(GOOD, json_schema=schema, max_new_tokens=30).startswith("{")


@pytest.mark.model
@pytest.mark.parametrize("backend", IN_TRANSFORMERS)
def test_rows_that_are_finished_cause_no_error(load: Callable[..., Any], tmp_path: Path, backend: str) -> None:
    """A finished row continues with padding, here with NaN, until the others are finished."""
    folder = tiny_models.save_damaged(tmp_path / "padding", "<|endoftext|>")
    words = ["model=local", f"model.path={folder}", f"backend={backend}", *EXACT, "generation.max_new_tokens=12"]
    llm = load(*words, "runtime.batch_size=2")
    prompts = ["The brain", "The number"]
    assert len({len(llm.engine.encode(prompt)) for prompt in prompts}) == 1
    short, long = (llm.invoke(prompt) for prompt in prompts)
    stop = next(piece for piece in short if piece not in long)
    answers = llm.generate(prompts, stop=[stop]).generations
    assert [one.text for (one,) in answers] == [short.partition(stop)[0], long]
    assert [one.generation_info["finish_reason"] for (one,) in answers] == ["stop", "length"]


def rows_found(highest: list[float]) -> list[int]:
    import torch

    from hforch.backends.huggingface.finite_logits import FiniteLogits

    logits = torch.zeros(len(highest), 5)
    logits[:, 3] = torch.tensor(highest)
    logits[:, 4] = -float("inf")
    finite = FiniteLogits()
    kept = finite(torch.zeros(len(highest), 1), logits.clone())
    found = sorted(finite.broken())
    assert kept[found].abs().sum() == 0
    sound = [row for row in range(len(highest)) if row not in found]
    assert torch.equal(kept[sound], logits[sound])
    return found


def test_rows_with_nan_or_infinity_are_found() -> None:
    inf, nan = float("inf"), float("nan")
    assert rows_found([1.0, nan, -2.0, inf]) == [1, 3]
    assert rows_found([1.0, -inf]) == []
    assert rows_found([nan]) == [0]
