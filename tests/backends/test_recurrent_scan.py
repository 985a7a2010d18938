"""Tests of architectures of which transformers reads long prompts incorrectly."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import EXACT

from hforch.backends.base import load as load_model
from hforch.config.compose import job_from_overrides
from hforch.errors import BackendError, PromptError
from hforch.utils.progress import Silent
from hforch.utils.tested_versions import versions

pytestmark = pytest.mark.model

CHUNK = 16
SHORT, LONG = "The brain", "Question: What is electroencephalography?\n\nAnswer: Let's think step by step."


@pytest.fixture(scope="module")
def zamba2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_zamba2(tmp_path_factory.mktemp("tiny") / "zamba2", CHUNK)


def test_transformers_still_mixes_up_the_chunks(zamba2: Path) -> None:
    if version("transformers") != versions("tested")["transformers"]:
        pytest.skip("the tested version of transformers mixes them up; later versions may not")
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(zamba2, dtype="float64")
    ids = torch.arange(10, 10 + 3 * CHUNK)[None]
    with torch.no_grad():
        whole, start = model(ids, use_cache=False).logits[0], model(ids[:, : 2 * CHUNK], use_cache=False).logits[0]
    assert torch.allclose(whole[:CHUNK], start[:CHUNK], rtol=0, atol=1e-9)
    assert not torch.allclose(whole[CHUNK : 2 * CHUNK], start[CHUNK:], rtol=0, atol=1e-9)


def test_a_prompt_longer_than_a_chunk_is_rejected(load: Callable[..., Any], zamba2: Path) -> None:
    llm = load("model=local", f"model.path={zamba2}", "backend=pytorch", *EXACT, "generation.max_new_tokens=4")
    assert len(llm.engine.encode(SHORT)) <= CHUNK < len(llm.engine.encode(LONG))
    assert llm.generate([SHORT]).generations[0][0].generation_info["output_ids"]
    with pytest.raises(PromptError, match=r"at most 16 tokens.*shorten the prompt"):
        llm.invoke(LONG)


def test_other_models_read_prompts_of_any_length(load: Callable[..., Any], tiny_gpt2: Path) -> None:
    llm = load("model=local", f"model.path={tiny_gpt2}", "backend=pytorch", *EXACT, "generation.max_new_tokens=4")
    assert llm.engine.longest_prompt is None


def test_scoring_rejects_a_prompt_longer_than_a_chunk(zamba2: Path) -> None:
    loaded = load_model(job_from_overrides(["model=local", f"model.path={zamba2}", "backend=pytorch"]), Silent())
    assert loaded.logit_reader is not None
    with pytest.raises(BackendError, match="at most 16 tokens"):
        next(iter(loaded.logit_reader().read([[5] * (CHUNK + 1)], [[6, 7, 8]], 4)))
