"""Tests that answers of OpenVINO do not depend on the sizes of the batches that the same infer request has read before.

The CPU plugin of OpenVINO 2026.4 returns NaN for the rows by which a batch exceeds an earlier one, if the KV cache is
quantized and its buffers are large enough for the prompts, but not for the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy
import pytest

from hforch.backends.base import load as load_model
from hforch.config.compose import job_from_overrides
from hforch.generation.logit_reader import OpenVINOLogitReader
from hforch.utils.progress import Silent

QUESTIONS = [
    "Which planet do we live on, and which planets are next to it?",
    "How many days does a week have?",
    "What is the opposite of hot?",
    "Name a colour.",
]
TOKENS = 48

pytestmark = pytest.mark.openvino
QUANTIZED = ["u8", "u4"]


def overrides(kv_cache: str) -> list[str]:
    return [
        "backend=openvino",
        "precision=int8",
        f"+ov_config.KV_CACHE_PRECISION={kv_cache}",
        f"generation.max_new_tokens={TOKENS}",
        "generation.ignore_eos=true",
    ]


def by_optimum(folder: str, kv_cache: str, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the greedy answers of a model that has read nothing before this batch."""
    import torch
    from optimum.intel import OVModelForCausalLM

    model = OVModelForCausalLM.from_pretrained(folder, export=False, ov_config={"KV_CACHE_PRECISION": kv_cache})
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    found = model.generate(
        ids, attention_mask=mask, do_sample=False, max_new_tokens=TOKENS, eos_token_id=None, pad_token_id=0
    )
    return [row[longest:] for row in found.tolist()]


def output_ids(llm: Any, prompts: Sequence[str]) -> list[list[int]]:
    return [list(one.generation_info["output_ids"]) for (one,) in llm.generate(list(prompts)).generations]


@pytest.mark.model
@pytest.mark.parametrize("kv_cache", QUANTIZED)
def test_a_larger_batch_after_smaller_ones_is_answered_as_by_a_new_model(
    load: Callable[..., Any], kv_cache: str
) -> None:
    llm = load(*overrides(kv_cache), "runtime.batch_size=4")
    prompts = [llm.engine.encode(question) for question in QUESTIONS]
    assert len({*map(len, prompts)}) > 1
    wanted = by_optimum(llm.model_id, kv_cache, prompts)
    longest = max(map(len, prompts))
    one = llm.shortened(1)
    for smaller in (1, 2, 3):  # each leaves buffers for 4 prompts, but not for their answers
        tokens = (4 * longest + 8) // (2 * smaller)
        one.generate([" word" * tokens] * smaller)
        assert output_ids(llm, QUESTIONS) == wanted


@pytest.mark.model
@pytest.mark.parametrize("kv_cache", QUANTIZED)
def test_scores_do_not_depend_on_earlier_batches(kv_cache: str) -> None:
    loaded = load_model(job_from_overrides(overrides(kv_cache)), Silent())
    compiled = loaded.engine.model.request.get_compiled_model()

    def read(reader: OpenVINOLogitReader, rows: int, prompt: int, text: int) -> list[numpy.ndarray]:
        prompts, texts = [[*range(500 + row, 500 + row + prompt)] for row in range(rows)], [[*range(900, 900 + text)]]
        return [logits.copy() for _, logits in reader.read(prompts, texts * rows, 1)]

    used, new = (OpenVINOLogitReader(compiled, 0, owner=loaded.engine.model) for _ in range(2))
    for rows, prompt in ((1, 44), (2, 22)):
        read(used, rows, prompt, 2)
        for found, wanted in zip(read(used, 4, 20, 30), read(new, 4, 20, 30), strict=True):
            assert numpy.isfinite(found).all()
            assert (found == wanted).all()
    new.close()
    used.close()
    loaded.engine.close()
