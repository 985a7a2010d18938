"""Tests of batches in which prompts of different lengths would change each other's answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import EXACT
from hypothesis import given
from hypothesis import strategies as st

from hforch.backends.base import load as load_model
from hforch.backends.huggingface.batch_rows import together
from hforch.config.compose import job_from_overrides
from hforch.generation.completion import Completion
from hforch.generation.engine import SerialEngine
from hforch.models.architecture import longrope_switch
from hforch.models.json_files import read_object
from hforch.utils.progress import Silent

PADDED = ("pytorch", "openvino")
"""The backends that pad the prompts of a batch."""
PROMPTS = [
    "The brain",
    "The brain",
    "What is the number 2 in french?",
    "Question: What is electroencephalography?\n\nAnswer: Let's think step by step.",
]
SWITCH = 32
TOKENS = st.lists(st.tuples(st.integers(1, 100), st.integers(1, 64)), min_size=1, max_size=12)


# ---------------------------------------------------------------- splitting a batch
@given(TOKENS, st.booleans(), st.sampled_from([None, SWITCH]))
def test_each_prompt_is_in_one_part(tokens: list[tuple[int, int]], padding_counts: bool, switch: int | None) -> None:
    lengths, limits = [one for one, _ in tokens], [limit for _, limit in tokens]
    parts = together(lengths, limits, padding_counts, switch)
    assert sorted(place for part in parts for place in part) == list(range(len(tokens)))
    for part in parts:
        shortest, longest = min(lengths[place] for place in part), max(lengths[place] for place in part)
        if padding_counts:
            assert shortest == longest
        elif switch is not None and shortest < longest:
            assert shortest > switch or longest + max(limits[place] for place in part) <= switch


def test_a_batch_is_not_split_without_need() -> None:
    assert together([3, 90, 5], [64, 64, 64], padding_counts=False, switch=None) == [[0, 1, 2]]
    assert together([3, 8, 5], [20, 20, 20], padding_counts=False, switch=SWITCH) == [[0, 1, 2]]
    assert together([40, 33, 90], [64, 64, 64], padding_counts=False, switch=SWITCH) == [[0, 1, 2]]


def test_a_batch_is_split_where_answers_would_change() -> None:
    assert together([3, 90, 5, 3], [64] * 4, padding_counts=True, switch=None) == [[1], [2], [0, 3]]
    assert together([3, 90, 5, 3], [64] * 4, padding_counts=False, switch=SWITCH) == [[1], [2], [0, 3]]


# ---------------------------------------------------------------- models
@pytest.fixture(scope="module")
def bart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_bart(tmp_path_factory.mktemp("tiny") / "bart")


@pytest.fixture(scope="module")
def phi3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_phi3(tmp_path_factory.mktemp("tiny") / "phi3", SWITCH)


def expected(folder: Path, llm: Any) -> list[list[int]]:
    """Return transformers' greedy answers to each prompt alone, which read the whole sequence for each token."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    found = []
    for prompt in PROMPTS:
        ids = torch.tensor([llm.engine.encode(prompt)])
        with torch.no_grad():
            whole = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=40,
                use_cache=False,
                forced_eos_token_id=None,
            )
        new = whole[0, ids.shape[1] :].tolist()
        found.append(new[:-1] if new[-1] in llm.engine.eos else new)
    return found


def output_ids(llm: Any, prompts: list[str]) -> list[list[int]]:
    return [one.generation_info["output_ids"] for (one,) in llm.generate(prompts).generations]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The number of tokens of the prompts that are generated together, for each batch during the test."""
    seen: list[list[int]] = []
    generate = SerialEngine._generate

    def record(self: SerialEngine, completions: list[Completion], request: Any) -> None:
        seen.append([len(completion.prompt_ids) for completion in completions])
        generate(self, completions, request)

    monkeypatch.setattr(SerialEngine, "_generate", record)
    return seen


@pytest.mark.model
@pytest.mark.parametrize("backend", PADDED)
@pytest.mark.parametrize("model", ["bart", "phi3"])
def test_answers_in_a_batch_equal_those_of_transformers_to_each_prompt_alone(
    load: Callable[..., Any], request: pytest.FixtureRequest, parts: list[list[int]], model: str, backend: str
) -> None:
    folder = request.getfixturevalue(model)
    llm = load("model=local", f"model.path={folder}", f"backend={backend}", *EXACT, "generation.max_new_tokens=40")
    wanted = expected(folder, llm)
    assert min(len({*one}) for one in wanted) > 4
    alone = [ids for prompt in PROMPTS for ids in output_ids(llm, [prompt])]
    assert alone == wanted
    parts.clear()
    assert output_ids(llm.with_arguments(batch_size=4), PROMPTS) == wanted
    assert [len({*part}) for part in parts] == [1, 1, 1]
    assert "".join(llm.stream(PROMPTS[3])) == llm.invoke(PROMPTS[3])


@pytest.mark.model
@pytest.mark.parametrize("backend", PADDED)
def test_prompts_of_other_models_share_a_batch(
    load: Callable[..., Any], tiny_gpt2: Path, parts: list[list[int]], backend: str
) -> None:
    llm = load("model=local", f"model.path={tiny_gpt2}", f"backend={backend}", *EXACT, "generation.max_new_tokens=4")
    assert not llm.engine.padding_counts
    output_ids(llm.with_arguments(batch_size=4), PROMPTS)
    assert [len(part) for part in parts] == [4]


@pytest.mark.model
def test_the_switch_of_longrope_is_read_from_the_config(phi3: Path, tiny_gpt2: Path) -> None:
    assert longrope_switch(read_object(phi3 / "config.json")) == SWITCH
    assert longrope_switch(read_object(tiny_gpt2 / "config.json")) is None


def test_the_switch_of_longrope_is_read_from_older_configs() -> None:
    older = {"rope_scaling": {"type": "su", "short_factor": [1.0]}, "original_max_position_embeddings": 4096}
    assert longrope_switch(older) == 4096
    assert longrope_switch({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}) is None


@pytest.mark.model
@pytest.mark.parametrize("backend", PADDED)
def test_a_model_that_counts_padding_causes_a_warning(bart: Path, backend: str) -> None:
    for size, warnings in ((1, 0), (4, 1)):
        words = ["model=local", f"model.path={bart}", f"backend={backend}", *EXACT, f"runtime.batch_size={size}"]
        loaded = load_model(job_from_overrides(words), Silent())
        assert len(loaded.remarks) == warnings
        assert all("treats padding as tokens" in str(remark) for remark in loaded.remarks)
        loaded.engine.close()
