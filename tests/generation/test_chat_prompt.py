"""An LLM loaded with a chat prompt applies it to plain text, so a chat recipe answers as in its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import hforch
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.prompts import PromptTemplate

import hforch as hforch_api
from hforch import load_chain, load_llm
from hforch.errors import PromptError
from hforch.records.record_files import read_samples

QUESTION = "What is electroencephalography?"
SYSTEM = "Answer briefly."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A recipe frozen from a chat run, and the run's only sample."""
    folder = tmp_path_factory.mktemp("chat")
    words = ("backend=fake", "prompt=chat", f"prompt.system='{SYSTEM}'", "generation.max_new_tokens=8")
    hforch(*words, f"inputs.items=['{QUESTION}']", f"hydra.run.dir={folder / 'run'}")
    hforch("freeze", str(folder / "run"), "-o", str(folder / "winner.yaml"))
    (sample,) = read_samples(folder / "run")
    return folder / "winner.yaml", dict(sample)


async def test_a_chat_recipe_answers_text_as_its_run_did(run: tuple[Path, dict[str, Any]]) -> None:
    recipe, sample = run
    llm = load_llm(recipe=recipe)
    text = sample["text"]
    assert text and text != load_llm("backend=fake", generation={"max_new_tokens": 8}).invoke(QUESTION)
    assert llm.prompt_value(QUESTION).to_string() == sample["prompt"]
    assert llm.invoke(QUESTION) == "".join(llm.stream(QUESTION)) == text
    assert llm.batch([QUESTION, QUESTION]) == [text, text]
    assert await llm.ainvoke(QUESTION) == text
    assert "".join([piece async for piece in llm.astream(QUESTION)]) == text
    assert llm.bind(stop=["\0"]).invoke(QUESTION) == text
    assert (PromptTemplate.from_template("{q}") | llm).invoke({"q": QUESTION}) == text


def test_a_chat_recipe_answers_messages_and_chains_as_its_run_did(run: tuple[Path, dict[str, Any]]) -> None:
    recipe, sample = run
    llm = load_llm(recipe=recipe)
    assert load_chain(recipe=recipe).invoke({"question": QUESTION}) == sample["text"]
    for messages in (
        [HumanMessage(QUESTION)],
        [SystemMessage(SYSTEM), HumanMessage(QUESTION)],
        [{"role": "user", "content": QUESTION}],
        [("system", SYSTEM), ("user", QUESTION)],
    ):
        assert llm.invoke(messages) == sample["text"]
    other = llm.prompt_value([("system", "Be long."), ("user", QUESTION)]).to_string()
    assert "Be long." in other and SYSTEM not in other


def test_other_prompts_do_not_change_text() -> None:
    for prompt in ("step_by_step", "raw", "question"):
        assert load_llm(backend="fake", prompt=prompt).prompt_value(QUESTION).to_string() == QUESTION


def test_a_chat_prompt_with_several_variables_names_load_chain() -> None:
    words = ("prompt=chat", "inputs.items=[{a: x, b: y}]")
    llm = load_llm(*words, backend="fake", prompt={"messages": [{"role": "user", "content": "{a} {b}"}]})
    with pytest.raises(PromptError, match=r"2 variables \(a, b\).*use load_chain"):
        llm.invoke(QUESTION)
    assert llm.invoke([HumanMessage(QUESTION)])


@pytest.mark.slow
def test_smollm2_answers_a_chat_recipe_as_in_its_run(tmp_path: Path) -> None:
    words = ("prompt=chat", "precision=fp32", "generation.max_new_tokens=8", "runtime.warmup=0")
    hforch(*words, f"inputs.items=['{QUESTION}']", f"hydra.run.dir={tmp_path / 'run'}")
    hforch("freeze", str(tmp_path / "run"), "-o", str(tmp_path / "winner.yaml"))
    (sample,) = read_samples(tmp_path / "run")
    llm = load_llm(recipe=tmp_path / "winner.yaml")
    assert llm.invoke(QUESTION) == llm.invoke([HumanMessage(QUESTION)]) == sample["text"] != ""


AUTO = {
    "a recipe's option": ((), "defaults:\n  - backend: fake\n  - prompt: auto\n", {}),
    "a recipe's value": ((), f"defaults:\n  - backend: fake\nprompt:\n  system: {SYSTEM}\n", {}),
    "an override": (("backend=fake", "prompt=auto"), None, {}),
    "a keyword argument": (("backend=fake",), None, {"prompt": "auto"}),
    "a keyword argument's value": (("backend=fake",), None, {"prompt": {"system": SYSTEM}}),
}


@pytest.mark.parametrize(("overrides", "recipe", "arguments"), AUTO.values(), ids=AUTO)
def test_prompt_auto_answers_text_as_a_run_does_if_it_is_set(
    overrides: tuple[str, ...], recipe: str | None, arguments: dict[str, Any], tmp_path: Path
) -> None:
    file = None
    if recipe is not None:
        file = tmp_path / "recipe.yaml"
        file.write_text(recipe)
    llm = load_llm(*overrides, recipe=file, generation={"max_new_tokens": 8}, **arguments)
    result = hforch_api.run(
        *overrides, "runtime.warmup=0", recipe=file, generation={"max_new_tokens": 8}, inputs=[QUESTION],
        directory=tmp_path / "run", **arguments,
    )  # fmt: skip
    assert result.record["auto_prompt"] == "chat"
    assert llm.prompt_value(QUESTION).to_string() == result.samples[0]["prompt"]
    assert [llm.invoke(QUESTION)] == result.answers


def test_text_is_sent_unchanged_if_nothing_sets_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("defaults:\n  - backend: fake\n")
    for llm in (load_llm(recipe=tmp_path / "recipe.yaml"), load_llm("backend=fake")):
        assert llm.prompt_value(QUESTION).to_string() == QUESTION


@pytest.mark.model
def test_prompt_auto_sends_text_unchanged_to_a_model_without_a_chat_template(tiny_gpt2: Path) -> None:
    with load_llm(model=tiny_gpt2, prompt="auto") as llm:
        assert llm.prompt_value(QUESTION).to_string() == QUESTION
