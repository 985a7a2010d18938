"""Tests of the fields of each LLM class: LangChain's configurable fields and alternatives, copies, pickling."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from backends_tested import BACKENDS, EXACT
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import ConfigurableField

from hforch import HforchPipeline, load_llm
from hforch.errors import ConfigError, UnknownArgument

pytestmark = pytest.mark.model

PROMPT = "Once upon a time"
GREEDY, SAMPLED = "generation.max_new_tokens=8", {"temperature": 1.5}


@pytest.fixture(scope="module", params=["fake", *BACKENDS, "wrapped"])
def llm(request: pytest.FixtureRequest, tiny_gpt2: Path) -> Any:
    """An LLM of each class."""
    if request.param == "fake":
        return load_llm("backend=fake", GREEDY)
    if request.param == "wrapped":
        from transformers import pipeline

        pipe = pipeline("text-generation", model=str(tiny_gpt2), do_sample=False, max_new_tokens=8)
        return HforchPipeline(pipeline=pipe)
    return load_llm("model=local", f"model.path={tiny_gpt2}", f"backend={request.param}", *EXACT, GREEDY)


class Heard(BaseCallbackHandler):
    def __init__(self) -> None:
        self.answers: list[str] = []

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.answers.append(response.generations[0][0].text)


def configured(llm: Any, field: str, value: Any) -> Any:
    return llm.configurable_fields(**{field: ConfigurableField(id=field)}).with_config(configurable={field: value})


def expected_of(llm: Any) -> dict[str, tuple[Any, str]]:
    """Return, for each field whose effect is visible in an answer, another value and the answer."""
    text = llm.invoke(PROMPT)
    return {
        "stop": ([text[3:5]], text[: text.index(text[3:5])]),
        "echo": (True, PROMPT + text),
        "generation": (llm.generation.model_copy(update={"max_new_tokens": 3}), llm.invoke(PROMPT, max_new_tokens=3)),
    }


@pytest.mark.parametrize("field", ["stop", "echo", "generation"])
def test_a_configured_field_changes_answers(llm: Any, field: str) -> None:
    value, answer = expected_of(llm)[field]
    runnable = configured(llm, field, value)
    assert runnable.invoke(PROMPT) == "".join(runnable.stream(PROMPT)) == answer
    assert runnable.batch([PROMPT, PROMPT]) == [answer] * 2
    assert (PromptTemplate.from_template("{p}") | runnable).invoke({"p": PROMPT}) == answer
    assert llm.invoke(PROMPT) != answer, "the original is unchanged"


async def test_a_configured_seed_changes_sampled_answers_in_the_async_forms_too(llm: Any) -> None:
    fields = llm.configurable_fields(seed=ConfigurableField(id="seed"))
    answers = [fields.with_config(configurable={"seed": seed}).invoke(PROMPT, **SAMPLED) for seed in range(4)]
    assert answers == [llm.invoke(PROMPT, seed=seed, **SAMPLED) for seed in range(4)]
    assert len(set(answers)) > 1
    assert await fields.ainvoke(PROMPT, {"configurable": {"seed": 3}}, **SAMPLED) == answers[3]


def test_every_field_is_configurable(llm: Any) -> None:
    answer = llm.invoke(PROMPT, max_new_tokens=1)
    for field in type(llm).model_fields:
        prepared, _ = configured(llm, field, getattr(llm, field)).prepare()
        assert type(prepared) is type(llm) and prepared.engine is llm.engine
        assert getattr(prepared, field) == getattr(llm, field)
        assert prepared.invoke(PROMPT, max_new_tokens=1) == answer, field
    heard = Heard()
    configured(llm, "callbacks", [heard]).invoke(PROMPT, max_new_tokens=1)
    assert heard.answers == [answer]


@pytest.mark.parametrize(("field", "value"), [("seed", -1), ("batch_size", 0), ("stop", [""])])
def test_an_invalid_value_is_rejected_in_every_way_to_set_it(llm: Any, field: str, value: Any) -> None:
    with pytest.raises(UnknownArgument, match=field):
        configured(llm, field, value).invoke(PROMPT)
    with pytest.raises((UnknownArgument, ConfigError), match=field):
        load_llm("backend=fake", **{field: value})
    with pytest.raises(UnknownArgument, match=field):
        llm.invoke(PROMPT, **{field: value})


def test_an_unknown_field_is_rejected() -> None:
    with pytest.raises(UnknownArgument, match=r"max_new_tokens'; write generation=\{'max_new_tokens': ...\}"):
        load_llm("backend=fake", max_new_tokens=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="made_up"):
        load_llm("backend=fake").configurable_fields(made_up=ConfigurableField(id="made_up"))


def test_a_custom_tokenizer_of_langchain_is_used(llm: Any) -> None:
    own = configured(llm, "custom_get_token_ids", lambda text: [7] * len(text)).prepare()[0]
    assert own.get_token_ids("abc") == [7, 7, 7]


def test_configurable_alternatives_choose_a_model(llm: Any) -> None:
    other = load_llm("backend=fake", "backend.replies=[{match: Once, text: other}]")
    choice = llm.configurable_alternatives(ConfigurableField(id="llm"), default_key="this", other=other)
    assert choice.invoke(PROMPT) == llm.invoke(PROMPT)
    assert choice.with_config(configurable={"llm": "other"}).invoke(PROMPT) == "other"
    assert "".join(choice.with_config(configurable={"llm": "other"}).stream(PROMPT)) == "other"


def test_the_cache_distinguishes_configured_fields(llm: Any) -> None:
    cached = llm.model_copy(update={"cache": InMemoryCache()})
    value, answer = expected_of(llm)["generation"]
    assert cached.invoke(PROMPT) == llm.invoke(PROMPT)
    assert configured(cached, "generation", value).invoke(PROMPT) == answer


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda llm: llm.model_copy(), lambda llm: llm.model_copy(deep=True)],
    ids=["copy", "deepcopy", "model_copy", "deep model_copy"],
)
def test_a_copy_uses_the_same_loaded_model(llm: Any, duplicate: Any) -> None:
    other = duplicate(llm)
    assert other.engine is llm.engine
    assert getattr(other, "pipeline", None) is getattr(llm, "pipeline", None)
    assert other.invoke(PROMPT) == llm.invoke(PROMPT)
    changed = llm.model_copy(update={"echo": True})
    assert changed.invoke(PROMPT) == PROMPT + llm.invoke(PROMPT)


def test_pickling_is_rejected_with_a_reason(llm: Any) -> None:
    for found in (llm, llm.bind(stop=["x"]), PromptTemplate.from_template("{p}") | llm):
        with pytest.raises(TypeError, match=r"cannot be pickled, because it holds a loaded model.*load_llm"):
            pickle.dumps(found)


def test_a_wrapped_pipelines_arguments_are_configurable(tiny_gpt2: Path) -> None:
    from transformers import pipeline

    pipe, other = (pipeline("text-generation", model=str(tiny_gpt2), do_sample=False, max_new_tokens=8) for _ in "ab")
    llm = HforchPipeline(pipeline=pipe, pipeline_kwargs={"seed": 5, "max_new_tokens": 7})
    chosen, _ = configured(llm, "pipeline_kwargs", {"max_new_tokens": 3, "seed": 9}).prepare()
    assert (chosen.generation.max_new_tokens, chosen.seed) == (3, 9)
    chosen, _ = configured(llm, "seed", 6).prepare()
    assert (chosen.generation.max_new_tokens, chosen.seed) == (7, 6)
    chosen, _ = configured(llm, "pipeline", other).prepare()
    assert chosen.engine.model is other.model and chosen.invoke(PROMPT) == llm.invoke(PROMPT)
    with pytest.raises(UnknownArgument, match="model_kwargs has no effect"):
        configured(llm, "model_kwargs", {"temperature": 0}).prepare()


@pytest.mark.parametrize("arguments", [{"max_new_tokens": 3}, {"return_full_text": True}])
def test_pipeline_kwargs_of_load_llm_are_applied(tiny_gpt2: Path, arguments: dict[str, Any]) -> None:
    local = ("model=local", f"model.path={tiny_gpt2}", GREEDY)
    expected = load_llm(*local).invoke(PROMPT, pipeline_kwargs=arguments)
    assert load_llm(*local, pipeline_kwargs=arguments).invoke(PROMPT) == expected
