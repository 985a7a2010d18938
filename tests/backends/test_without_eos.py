"""Tests of models without EOS: answers end at max_new_tokens or at a stop sequence, and are equal on all backends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import BACKENDS, EXACT

from hforch.errors import ConfigError, UnknownArgument

pytestmark = pytest.mark.model

PROMPT = "Once upon a time"
FIELD = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_without_eos(tmp_path_factory.mktemp("tiny") / "endless")


@pytest.fixture(params=[name for name in BACKENDS if name != "pytorch"])
def llms(request: pytest.FixtureRequest, folder: Path, load: Any) -> tuple[Any, Any]:
    """The model on torch and on another backend."""
    local = ("model=local", f"model.path={folder}", "generation.max_new_tokens=40", *EXACT)
    return load("backend=pytorch", *local), load(f"backend={request.param}", *local)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"ignore_eos": True},
        {"min_new_tokens": 30},
        {"num_beams": 3},
        {"repetition_penalty": 1.5},
        {"temperature": 0},
    ],
    ids=str,
)
def test_answers_end_at_the_limit_and_equal_those_of_torch(llms: tuple[Any, Any], arguments: dict[str, Any]) -> None:
    expected, found = (llm.generate([PROMPT], **arguments).generations[0][0] for llm in llms)
    assert found.text == expected.text
    assert found.generation_info["output_ids"] == expected.generation_info["output_ids"]
    assert found.generation_info["finish_reason"] == expected.generation_info["finish_reason"] == "length"
    assert found.generation_info["token_usage"]["completion_tokens"] == 40


def test_no_token_ends_an_answer(llms: tuple[Any, Any]) -> None:
    """Also tokens 0 and 2, which libraries use as EOS if none is named."""
    prompts = [f"{word} {number}" for word in ("Once", "The", "A") for number in range(8)]
    answers = [llm.generate(prompts).generations for llm in llms]
    ids = [[row[0].generation_info["output_ids"] for row in one] for one in answers]
    assert ids[0] == ids[1]
    assert {len(row) for row in ids[1]} == {40}
    assert {0, 2} <= {token for row in ids[1] for token in row}


def test_a_stop_sequence_ends_an_answer_and_streams_agree(llms: tuple[Any, Any]) -> None:
    text = llms[0].invoke(PROMPT)
    stop = text[9:12]
    for llm in llms:
        (generation,) = llm.generate([PROMPT], stop=[stop]).generations[0]
        assert generation.text == "".join(llm.stream(PROMPT, stop=[stop])) == text[: text.index(stop)]
        assert generation.generation_info["finish_reason"] == "stop"


def test_a_json_schema_is_rejected_because_no_answer_could_end(llms: tuple[Any, Any]) -> None:
    for llm in llms:
        with pytest.raises(UnknownArgument, match="json_schema requires a model with an EOS token"):
            llm.invoke(PROMPT, json_schema=FIELD)


def test_prompt_lookup_needs_no_eos_either(folder: Path, load: Any, llms: tuple[Any, Any]) -> None:
    looking = load(
        *("backend=openvino_genai", "backend.prompt_lookup=true", "model=local", f"model.path={folder}"),
        *("generation.max_new_tokens=40", *EXACT),
    )
    assert looking.invoke(PROMPT) == llms[0].invoke(PROMPT)
    with pytest.raises(UnknownArgument, match=r"num_beams=3: beams cannot .* backend\.prompt_lookup=true"):
        looking.invoke(PROMPT, num_beams=3)


def test_prompt_lookup_with_beams_is_a_config_error(load: Any) -> None:
    with pytest.raises(ConfigError, match=r"generation\.num_beams: 4 beams cannot be combined"):
        load("backend=openvino_genai", "backend.prompt_lookup=true", "generation=beam")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_minimum_length_does_not_suppress_an_eos_that_is_ignored(backend: str, tmp_path: Path, load: Any) -> None:
    folder = tiny_models.save_gptj(tmp_path / "eager", added=200.0, token=0)  # 0 is its EOS
    llm = load(f"backend={backend}", "model=local", f"model.path={folder}", "generation.max_new_tokens=8", *EXACT)
    (generation,) = llm.generate([PROMPT], ignore_eos=True, min_new_tokens=4).generations[0]
    assert generation.generation_info["output_ids"] == [0] * 8
