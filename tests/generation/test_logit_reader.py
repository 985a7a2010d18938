"""Tests that logits do not depend on chunks and batches on any backend, apart from the KV cache's precision."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import pytest
from backends_tested import BACKENDS, EXACT

from hforch.backends.base import load
from hforch.config.compose import job_from_overrides
from hforch.generation.logit_reader import LogitReader
from hforch.utils.progress import Silent

PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [300, 301]]
TEXTS = [[20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30], [40, 41, 42, 43]]


@pytest.fixture(scope="module")
def teachers(tiny_gpt2: Path) -> dict[str, LogitReader]:
    made = {}
    for backend in BACKENDS if find_spec("openvino") else ("pytorch",):
        job = job_from_overrides(["model=local", f"model.path={tiny_gpt2}", f"backend={backend}", *EXACT])
        loaded = load(job, Silent())
        assert loaded.logit_reader is not None
        made[backend] = loaded.logit_reader()
    return made


def read(logit_reader: LogitReader, prompts: Sequence[Any], texts: Sequence[Any], chunk: int) -> list[numpy.ndarray]:
    """Return the logits that predict each token, for each text, of shape (tokens, vocabulary)."""
    found: list[list[numpy.ndarray]] = [[] for _ in texts]
    for start, logits in logit_reader.read(prompts, texts, chunk):
        assert logits.dtype == numpy.float32
        assert logits.shape[1] <= max(chunk, 1)
        for row, text in enumerate(texts):
            found[row].append(logits[row, : max(0, len(text) - start)].copy())
    return [numpy.concatenate(one) for one in found]


@pytest.fixture(scope="module")
def whole(tiny_gpt2: Path) -> list[numpy.ndarray]:
    """The same logits from a single forward pass of transformers over each text."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_gpt2, dtype="float32")
    found = []
    for prompt, text in zip(PROMPTS, TEXTS, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + text])).logits[0]
        found.append(logits[len(prompt) - 1 : -1].numpy())
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("chunk", [1, 3, 32])
def test_chunks_and_batches_give_the_logits_of_a_single_pass(
    teachers: dict[str, LogitReader], whole: list[numpy.ndarray], backend: str, chunk: int
) -> None:
    logit_reader = teachers[backend]
    assert logit_reader.vocabulary == whole[0].shape[1]
    for found, expected, text in zip(read(logit_reader, PROMPTS, TEXTS, chunk), whole, TEXTS, strict=True):
        assert found.shape == (len(text), logit_reader.vocabulary)
        assert numpy.abs(found - expected).max() < 1e-4
    alone = read(logit_reader, PROMPTS[1:], TEXTS[1:], chunk)
    assert numpy.abs(alone[0] - whole[1]).max() < 1e-4


@pytest.mark.parametrize("backend", BACKENDS)
def test_reading_twice_gives_the_same_bits(teachers: dict[str, LogitReader], backend: str) -> None:
    first, second = (read(teachers[backend], PROMPTS, TEXTS, 4) for _ in range(2))
    assert all((one == other).all() for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_text_of_one_token_is_read(teachers: dict[str, LogitReader], backend: str) -> None:
    (found,) = read(teachers[backend], [[5, 6]], [[7]], 32)
    assert len(found) == 1


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name.startswith("openvino")])
def test_batches_may_grow_with_a_quantized_kv_cache(backend: str, tiny_gpt2: Path) -> None:
    words = ["model=local", f"model.path={tiny_gpt2}", f"backend={backend}", "precision=int8", "ov_config=kv_u8"]
    loaded = load(job_from_overrides(words), Silent())
    assert loaded.logit_reader is not None
    logit_reader = loaded.logit_reader()
    prompts, texts = [[number, 5, 6, 7] for number in range(10, 18)], [[*range(20, 32)]] * 8
    for size in (1, 2, 4, 8, 3):
        for logits in read(logit_reader, prompts[:size], texts[:size], 64):
            assert numpy.isfinite(logits).all()
    logit_reader.close()
    loaded.engine.close()
