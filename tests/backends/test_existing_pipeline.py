"""Tests that HforchPipeline(pipeline=...) applies every setting of the pipeline, or rejects it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from hforch import HforchPipeline
from hforch.errors import UnknownArgument

pytestmark = pytest.mark.model

PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_models.save_llama(tmp_path_factory.mktemp("tiny") / "llama"))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """A tokenizer that adds BOS, which is not EOS."""
    tokenizer = tiny_models.byte_level_tokenizer(("<s>", "</s>"), adds_bos=True)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}{{ documents or '' }}"
    return tokenizer


@pytest.fixture
def make(model: Any, tokenizer: Any) -> Any:
    """A function that creates a pipeline, which is greedy by default."""
    from transformers import pipeline

    def make(**given: Any) -> Any:
        return pipeline("text-generation", model=model, tokenizer=tokenizer, **{"do_sample": False, **given})

    return make


def output_ids(llm: Any, prompt: str = PROMPT) -> list[int]:
    return list(llm.generate([prompt]).generations[0][0].generation_info["output_ids"])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"max_new_tokens": 9},
        {"max_length": 33},
        {"max_length": 33, "prefix": "Hi there. "},
        {"max_new_tokens": 9, "prefix": "Hi there. "},
        {"max_new_tokens": 9, "return_full_text": True, "prefix": "Hi there. "},
        {"max_new_tokens": 9, "add_special_tokens": False},
        {"max_new_tokens": 9, "tokenizer_encode_kwargs": {"add_special_tokens": False}},
        {"max_new_tokens": 9, "repetition_penalty": 1.9, "no_repeat_ngram_size": 2},
        {"max_new_tokens": 9, "num_beams": 3, "length_penalty": 2.0},
        {"max_new_tokens": 9, "padding": True, "truncation": False, "skip_special_tokens": True, "pad_token_id": 7},
    ],
    ids=str,
)
def test_the_text_is_that_of_the_pipeline(make: Any, given: dict[str, Any]) -> None:
    pipe = make(**given)
    expected = pipe(PROMPT)[0]["generated_text"]
    llm = HforchPipeline(pipeline=pipe)
    if not given.get("return_full_text"):
        expected = expected[len(PROMPT) :]
    assert llm.invoke(PROMPT) == "".join(llm.stream(PROMPT)) == expected
    assert llm.batch([PROMPT, "A"])[0] == expected


def test_settings_that_only_the_generation_config_has_are_applied(make: Any) -> None:
    plain = output_ids(HforchPipeline(pipeline=make(max_new_tokens=9)))
    pipe = make(max_new_tokens=9, bad_words_ids=[[plain[3]]], suppress_tokens=[plain[0]])
    found = output_ids(HforchPipeline(pipeline=pipe))
    assert plain[0] not in found and plain[3] not in found
    assert pipe(PROMPT)[0]["generated_text"] == PROMPT + HforchPipeline(pipeline=pipe).invoke(PROMPT)


@pytest.mark.parametrize("several", [False, True])
def test_eos_token_id_ends_an_answer_whose_text_omits_it(make: Any, several: bool) -> None:
    plain = HforchPipeline(pipeline=make(max_new_tokens=12))
    ids = output_ids(plain)
    eos = next(token for token in ids[3:] if token not in ids[:3])
    text = plain.invoke(PROMPT)
    llm = HforchPipeline(pipeline=make(max_new_tokens=12, eos_token_id=[eos, 1] if several else eos))
    (generation,) = llm.generate([PROMPT]).generations[0]
    assert generation.generation_info["finish_reason"] == "eos"
    assert output_ids(llm) == ids[: ids.index(eos)]
    assert text.startswith(generation.text) and len(generation.text) < len(text)
    assert "".join(llm.stream(PROMPT)) == llm.invoke(PROMPT, stop=["never appears"]) == generation.text
    assert output_ids(plain) == ids, "a pipeline of the same model must not share the setting"


def test_two_pipelines_of_one_model_keep_their_own_settings(make: Any) -> None:
    one, other = (HforchPipeline(pipeline=make(max_new_tokens=9, prefix=prefix)) for prefix in ("", "Hi there. "))
    assert one.engine is not other.engine and one.engine.queue is other.engine.queue
    assert one.invoke("Hi there. " + PROMPT) == other.invoke(PROMPT)


def test_a_prefix_is_not_added_to_a_chat(make: Any) -> None:
    llm = HforchPipeline(pipeline=make(max_new_tokens=3, prefix="Hi there. "))
    info = llm.generate_prompt([llm.prompt_value([("user", "hello")])]).generations[0][0].generation_info
    assert llm.engine.vocabulary().decode(list(info["prompt_ids"])) == "hello"


def test_documents_and_batch_size_of_a_pipeline_become_fields(make: Any) -> None:
    llm = HforchPipeline(pipeline=make(max_new_tokens=3, documents=["a", "b"], batch_size=7))
    assert llm.batch_size == 7
    assert llm.prompt_value([("user", "hello")]).to_string() == "hello['a', 'b']"
    assert HforchPipeline(pipeline=llm.pipeline, batch_size=2).batch_size == 2


def test_changes_of_the_models_generation_config_are_applied(make: Any, model: Any) -> None:
    before = model.generation_config.repetition_penalty
    model.generation_config.repetition_penalty = 1.9
    try:
        changed = HforchPipeline(pipeline=make(max_new_tokens=60))
    finally:
        model.generation_config.repetition_penalty = before
    passed = HforchPipeline(pipeline=make(max_new_tokens=60, repetition_penalty=1.9))
    plain = HforchPipeline(pipeline=make(max_new_tokens=60))
    assert changed.invoke(PROMPT) == passed.invoke(PROMPT) != plain.invoke(PROMPT)


@pytest.mark.parametrize(
    "given", [{"top_p": 0.5}, {"temperature": 1.0}, {"top_k": 3}, {"epsilon_cutoff": 0.1}], ids=str
)
def test_a_sampling_setting_enables_sampling(
    make: Any, caplog: pytest.LogCaptureFixture, given: dict[str, Any]
) -> None:
    llm = HforchPipeline(pipeline=make(do_sample=True, **given))
    decoding = llm.engine.decoding(llm.generation)
    assert decoding["do_sample"] is True
    assert decoding.get("temperature", 1.0) == given.get("temperature", 0.7)
    assert {name: decoding.get(name, 1.0) for name in given} == given
    assert not hforchs(caplog)


def test_sampling_by_default_is_not_applied_but_reported(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    llm = HforchPipeline(pipeline=make(do_sample=True))
    assert llm.generation.do_sample is False
    (message,) = hforchs(caplog)
    assert "Decoding is greedy" in message and "pipeline_kwargs={'do_sample': True}" in message
    caplog.clear()
    sampled = HforchPipeline(pipeline=make(do_sample=True), pipeline_kwargs={"do_sample": True})
    decoding = sampled.engine.decoding(sampled.generation)
    assert (decoding["do_sample"], decoding["temperature"]) == (True, 0.7)
    assert HforchPipeline(pipeline=make(do_sample=True), pipeline_kwargs={"do_sample": False}) is not None
    assert not hforchs(caplog)


def hforchs(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("hforch") and r.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "given",
    [
        {"min_length": 30},
        {"max_time": 3.0},
        {"use_cache": False},
        {"num_return_sequences": 2, "do_sample": True},
        {"output_scores": True},
        {"cache_implementation": "static"},
        {"stop_sequence": "ra"},
        {"return_tensors": True},
        {"truncation": True},
        {"clean_up_tokenization_spaces": True},
        {"skip_special_tokens": False},
        {"handle_long_generation": "hole"},
        {"continue_final_message": True},
        {"padding": "max_length"},
        {"num_workers": 2},
        {"tokenizer_encode_kwargs": {"max_length": 3}},
        {"logits_processor": []},
        {"made_up": 1},
        {"tools": [len]},
    ],
    ids=str,
)
def test_an_unsupported_setting_is_rejected_by_name(make: Any, given: dict[str, Any]) -> None:
    with pytest.raises(UnknownArgument, match=f"{next(iter(given))}|stop_strings"):
        HforchPipeline(pipeline=make(**given))


def test_all_unsupported_settings_are_reported_together(make: Any) -> None:
    with pytest.raises(UnknownArgument) as caught:
        HforchPipeline(pipeline=make(min_length=30, truncation=True, num_workers=2))
    assert all(said in str(caught.value) for said in ("min_length=30", "truncation=True", "num_workers=2"))


def test_another_kind_of_pipeline_is_rejected(make: Any, model: Any, tokenizer: Any) -> None:
    from transformers import FeatureExtractionPipeline, TextGenerationPipeline

    class Louder(TextGenerationPipeline):  # type: ignore[misc]
        def postprocess(self, *arguments: Any, **named: Any) -> Any:
            return [{"generated_text": "LOUD"}]

    with pytest.raises(UnknownArgument, match=r"text-generation pipeline; got 'FeatureExtractionPipeline'"):
        HforchPipeline(pipeline=FeatureExtractionPipeline(model=model, tokenizer=tokenizer))
    with pytest.raises(UnknownArgument, match=r"Louder replaces methods .*postprocess"):
        HforchPipeline(pipeline=Louder(model=model, tokenizer=tokenizer))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model_kwargs": {"temperature": 0}}, "model_kwargs has no effect"),
        ({"seed": 3, "pipeline_kwargs": {"seed": 4}}, "seed: given twice"),
        ({"pipeline_kwargs": {"eos_token_id": 4}}, r"eos_token_id'?: use stop"),
        ({"pipeline_kwargs": {"prefix": "Hi"}}, r"prefix'?: put it into the prompt"),
        ({"pipeline_kwargs": {"skip_prompt": "no"}}, "skip_prompt='no': must be True or False"),
        ({"chat_template_kwargs": [1]}, "chat_template_kwargs=.*must be a dict"),
    ],
)
def test_arguments_of_the_wrapper_without_effect_are_rejected(make: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UnknownArgument, match=said):
        HforchPipeline(pipeline=make(), **given)


def test_an_unknown_field_of_the_wrapper_is_rejected(make: Any) -> None:
    with pytest.raises(UnknownArgument, match="'max_new_tokens' of HforchPipeline: pass it in pipeline_kwargs"):
        HforchPipeline(pipeline=make(), max_new_tokens=3)
    with pytest.raises(UnknownArgument, match="'sed' of HforchPipeline: did you mean seed"):
        HforchPipeline(pipeline=make(), sed=3)


def test_return_full_text_may_be_passed_per_call(make: Any) -> None:
    llm = HforchPipeline(pipeline=make(max_new_tokens=3))
    text = llm.invoke(PROMPT)
    assert llm.invoke(PROMPT, pipeline_kwargs={"return_full_text": True}) == PROMPT + text
    echoing = HforchPipeline(pipeline=llm.pipeline, pipeline_kwargs={"return_full_text": True})
    assert echoing.invoke(PROMPT) == PROMPT + text
    assert echoing.invoke(PROMPT, skip_prompt=True) == text


def test_pipeline_kwargs_of_from_model_id_are_all_applied(tiny_gpt2: Path) -> None:
    arguments = {"max_new_tokens": 5, "return_full_text": True, "seed": 7, "stop": ["never"], "batch_size": 2}
    llm = HforchPipeline.from_model_id(str(tiny_gpt2), pipeline_kwargs=arguments)
    assert (llm.echo, llm.seed, llm.stop, llm.batch_size) == (True, 7, ("never",), 2)
    assert llm.generation.max_new_tokens == 5
    assert llm.invoke(PROMPT).startswith(PROMPT)
