"""`load_llm` and `load_chain`: their arguments, checked before a model is loaded."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hforch import load_chain, load_llm
from hforch.config.keys import groups
from hforch.errors import ConfigError, HforchError, PromptError, UnknownArgument
from hforch.generation.llm import HforchLLM
from hforch.generation.llm_fields import LLMFields

ROOT = Path(__file__).parents[1]
LOADS = pytest.mark.parametrize("load", [load_llm, load_chain])


@LOADS
def test_the_groups_that_affect_an_llm_are_keyword_arguments(load: Callable[..., Any]) -> None:
    named = inspect.signature(load).parameters
    other = {"overrides", "recipe", "config_dir", "progress", "fields"}
    assert set(named) - other == set(groups()) - {"inputs", "checks", "scoring", "tracker"}
    assert all(named[name].kind is inspect.Parameter.KEYWORD_ONLY for name in set(named) & set(groups()))
    assert inspect.signature(load_llm).parameters == inspect.signature(load_chain).parameters


def test_the_fields_are_those_of_the_llm() -> None:
    of_the_configuration = {"engine", "generation", "stop", "model_name", "chat_prompt", "lease"}
    assert (
        LLMFields.__annotations__.keys() - {"pipeline_kwargs"} == HforchLLM.model_fields.keys() - of_the_configuration
    )


def test_keyword_arguments_configure_the_llm() -> None:
    llm = load_llm(backend="fake", generation={"max_new_tokens": 2}, stop=["x"], seed=7, tags=["a"])
    assert (llm.generation.max_new_tokens, llm.stop, llm.seed, llm.tags) == (2, ("x",), 7, ["a"])
    assert len(llm.invoke("Hello").split()) == 2
    assert len(load_chain("backend=fake", generation={"max_new_tokens": 3}).invoke("Hello").split()) == 3


WRONG = [
    ({"bakend": "openvino"}, "unknown keyword argument 'bakend'; did you mean backend?"),
    ({"max_new_tokens": 20}, "unknown keyword argument 'max_new_tokens'; write generation={'max_new_tokens': ...}"),
    ({"temprature": 1}, "write generation={'temperature': ...}"),
    ({"model_id": "gpt2"}, "unknown keyword argument 'model_id'; use model"),
    ({"inputs": ["a"]}, "the group inputs does not affect a loaded model; pass it to hforch.run"),
    ({"xyzzy": 1}, "unknown keyword argument 'xyzzy'; available: backend, batch_size, "),
    ({"seed": -1}, "seed=-1: must be an integer of at least 0"),
    ({"callbacks": 3}, "callbacks=3: input should be a valid list"),
    ({"pipeline_kwargs": {"max_new": 3}}, "unknown generation argument 'max_new'. Did you mean max_new_tokens?"),
    ({"precision": "int9"}, "unknown option 'int9'"),
]


def test_inputs_and_scores_of_a_configuration_do_not_restrict_a_chain() -> None:
    """A chain gets its inputs from the caller, so its prompt may have other variables than they have columns."""
    chain = load_chain("prompt.template='Context: {context} Question: {question}'", backend="fake")
    assert chain.invoke({"context": "a", "question": "b"})
    chain = load_chain(recipe=ROOT / "recipes" / "precision_cost.yaml", backend="fake")  # which asks for scores
    assert chain.invoke({"question": "b"})


@LOADS
@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_argument_is_refused_before_a_model_is_loaded(
    load: Callable[..., Any], arguments: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hforch.chain.lease_model", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(HforchError) as found:
        load(**arguments)
    assert message in str(found.value)


def test_all_unknown_names_are_reported_together() -> None:
    with pytest.raises(UnknownArgument, match=r"'bakend'; did you mean backend\?; unknown keyword argument 'xyzzy'"):
        load_llm(bakend="fake", xyzzy=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="bakend"):
        load_llm(bakend="fake")  # type: ignore[call-arg]


async def test_a_missing_variable_is_a_prompt_error() -> None:
    chain = load_chain(backend="fake")
    with pytest.raises(PromptError, match="missing variable 'question', which the prompt uses; got 'q'"):
        chain.invoke({"q": "a"})
    messages = [{"role": "user", "content": "{a} {b}"}]
    for prompt in ({"messages": messages}, {"kind": "template", "template": "{a} {b}"}):
        option = "chat" if "messages" in prompt else "step_by_step"
        values = {key: value for key, value in prompt.items() if key != "kind"}
        chain = load_chain("backend=fake", f"prompt={option}", prompt=values)
        with pytest.raises(PromptError, match="missing variable 'b'"):
            await chain.ainvoke({"a": "x"})
        with pytest.raises(PromptError, match=r"the prompt has 2 variables .*; pass a dict"):
            chain.invoke("x")


def test_the_repr_of_an_llm_has_its_model_and_what_differs_from_the_defaults() -> None:
    llm = load_llm(backend="fake", generation={"max_new_tokens": 2}, stop=["x"], seed=7)
    assert repr(llm) == str(llm) == "EngineLLM(model='fake', max_new_tokens=2, stop=('x',), seed=7)"
    assert repr(llm) in repr(load_chain(backend="fake", generation={"max_new_tokens": 2}, stop=["x"], seed=7))


@pytest.mark.parametrize(
    ("progress", "notebook", "shown"),
    [(True, False, True), (None, True, True), (None, False, False), (False, True, False)],
)
def test_loading_shows_bars_if_requested_and_in_notebooks(
    progress: bool | None, notebook: bool, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("hforch.utils.progress_bar.in_notebook", lambda: notebook)
    load_llm(backend="fake", progress=progress).close()
    assert ("load: SmolLM2" in capsys.readouterr().err) is shown


class City(BaseModel):
    city: str


def test_a_class_as_json_schema_is_an_error_that_names_the_method() -> None:
    with pytest.raises(UnknownArgument, match=r"json_schema=City: .*write json_schema=City.model_json_schema\(\)"):
        load_llm(backend="fake").invoke("a", json_schema=City)
    with pytest.raises(ConfigError, match=r"generation.json_schema.*class City\n.*City.model_json_schema\(\)"):
        load_llm(backend="fake", generation={"json_schema": City})


def test_completion_lists_the_api_alone_and_errors_need_no_import() -> None:
    program = "import hforch; print([n for n in dir(hforch) if n[0] != '_']); print(hforch.errors.HforchError.__name__)"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    names = ["HforchPipeline", "compare", "errors", "load_chain", "load_llm", "run", "sweep"]
    assert done.stdout == f"{names}\nHforchError\n"
