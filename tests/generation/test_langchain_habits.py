"""What users of LangChain expect of an LLM: usage callbacks, and errors for methods that only chat models have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from backends_tested import BACKENDS, EXACT
from langchain_core.callbacks import UsageMetadataCallbackHandler, get_usage_metadata_callback
from langchain_core.prompts import PromptTemplate

from hforch import HforchPipeline, load_llm
from hforch.errors import HforchError

pytestmark = pytest.mark.model

PROMPTS = ["Once upon a time", "The"]


@pytest.fixture(scope="module", params=["fake", *BACKENDS, "wrapped"])
def llm(request: pytest.FixtureRequest, tiny_gpt2: Path) -> Any:
    """An LLM of each class, and the name of its model."""
    short = {"max_new_tokens": 4}
    if request.param == "fake":
        return load_llm(backend="fake", generation=short), "fake"
    if request.param == "wrapped":
        from transformers import pipeline

        pipe = pipeline("text-generation", model=str(tiny_gpt2), do_sample=False)
        return HforchPipeline(pipeline=pipe, pipeline_kwargs=short), str(tiny_gpt2)
    return load_llm(*EXACT, model=tiny_gpt2, backend=request.param, generation=short), str(tiny_gpt2)


def usage_of(llm: Any, prompts: list[str]) -> dict[str, int]:
    """Return the expected token counts of these prompts, from the LLM's own results."""
    counts = [one.llm_output["token_usage"] for one in llm.generate(prompts).flatten()[:1]]
    whole = llm.generate(prompts).llm_output["token_usage"]
    assert counts[0] == whole
    return {
        "input_tokens": whole["prompt_tokens"],
        "output_tokens": whole["completion_tokens"],
        "total_tokens": whole["total_tokens"],
    }


async def test_usage_reaches_langchains_usage_callback(llm: Any) -> None:
    model, name = llm
    one, both = usage_of(model, PROMPTS[:1]), usage_of(model, PROMPTS)
    assert one["output_tokens"] > 0 and one["input_tokens"] == len(model.get_token_ids(PROMPTS[0]))

    with get_usage_metadata_callback() as heard:
        model.invoke(PROMPTS[0])
    assert heard.usage_metadata == {name: one}
    with get_usage_metadata_callback() as heard:
        model.batch(PROMPTS)
    assert heard.usage_metadata == {name: both}
    with get_usage_metadata_callback() as heard:
        (PromptTemplate.from_template("{p}") | model).invoke({"p": PROMPTS[0]})
        await model.ainvoke(PROMPTS[1])
    assert heard.usage_metadata == {name: both}

    handler = UsageMetadataCallbackHandler()
    assert "".join(model.stream(PROMPTS[0], {"callbacks": [handler]}))
    assert handler.usage_metadata == {name: one}
    handler = UsageMetadataCallbackHandler()
    assert [piece async for piece in model.astream(PROMPTS[0], {"callbacks": [handler]})]
    assert handler.usage_metadata == {name: one}


def test_the_methods_of_chat_models_name_what_to_use_instead(llm: Any) -> None:
    model, _ = llm
    for method, instead in (("with_structured_output", "llm.bind(json_schema=SCHEMA)"), ("bind_tools", "'tools'")):
        with pytest.raises(NotImplementedError, match=rf"^{method} is a method of chat models.*{re.escape(instead)}"):
            getattr(model, method)([{"type": "object"}])
        with pytest.raises(HforchError, match=method):
            getattr(model.bind(stop=["x"]), method)({"type": "object"})
