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
    """A Llama whose embedding of `?` is NaN."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tiny_models.save_llama(tmp_path_factory.mktemp("tiny") / "damaged", tie_word_embeddings=False)
    (token,) = AutoTokenizer.from_pretrained(folder).encode("?")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight[token] = float("nan")
        model.get_output_embeddings().weight[token] = 0.0
    model.save_pretrained(folder)
    return folder


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
    with pytest.raises(GenerationError, match=MESSAGE):
        llm.invoke(BROKEN, **arguments)


@pytest.mark.model
def test_excluded_tokens_are_no_error(llm: Any) -> None:
    """A JSON Schema sets the logits of all other tokens to minus infinity."""
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    assert llm.invoke(GOOD, json_schema=schema, max_new_tokens=30).startswith("{")


def rows_found(highest: list[float]) -> list[int]:
    import torch

    from hforch.backends.huggingface.finite_logits import FiniteLogits

    logits = torch.zeros(len(highest), 5)
    logits[:, 3] = torch.tensor(highest)
    logits[:, 4] = -float("inf")
    finite = FiniteLogits()
    kept = finite(torch.zeros(len(highest), 1), logits.clone())
    found = finite.broken()
    assert kept[found].abs().sum() == 0
    sound = [row for row in range(len(highest)) if row not in found]
    assert torch.equal(kept[sound], logits[sound])
    return found


def test_rows_with_nan_or_infinity_are_found() -> None:
    inf, nan = float("inf"), float("nan")
    assert rows_found([1.0, nan, -2.0, inf]) == [1, 3]
    assert rows_found([1.0, -inf]) == []
    assert rows_found([nan]) == [0]
