"""Tests of settings in a checkpoint: only its EOS is applied, unless generation=checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import BACKENDS, EXACT
from langchain_core.prompts import ChatPromptTemplate

from hforch.errors import ModelError, PromptError

pytestmark = pytest.mark.model

TEMPLATE = "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}[assistant]"


@pytest.fixture(scope="module")
def penalized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose generation config has a repetition penalty and sampling."""
    shipped = {"repetition_penalty": 1.9, "do_sample": True, "temperature": 0.6, "top_k": 5, "max_new_tokens": 7}
    return tiny_models.save_gpt2(tmp_path_factory.mktemp("tiny") / "penalized", generation=shipped)


@pytest.fixture(scope="module")
def with_bos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose tokenizer adds a BOS to plain text, and whose chat template starts with one."""
    return tiny_models.save_gpt2(tmp_path_factory.mktemp("tiny") / "bos", chat_template=TEMPLATE)


Load = Callable[..., Any]


@pytest.fixture(scope="session")
def load_folder(load: Load) -> Load:
    """A function that loads a model from a directory with exact settings; models are cached for the session."""

    def load_folder(folder: Path, backend: str, *more: str) -> Any:
        return load("model=local", f"model.path={folder}", f"backend={backend}", *EXACT, *more)

    return load_folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_checkpoints_repetition_penalty_is_not_applied(
    penalized: Path, tiny_gpt2: Path, backend: str, load_folder: Load
) -> None:
    plain, shipping = load_folder(tiny_gpt2, backend), load_folder(penalized, backend)
    assert shipping.invoke("Once upon a time") == plain.invoke("Once upon a time")
    assert "repetition_penalty" not in shipping.engine.decoding(shipping.generation)


@pytest.mark.parametrize("backend", BACKENDS)
def test_generation_checkpoint_applies_the_checkpoints_settings(
    penalized: Path, tiny_gpt2: Path, backend: str, load_folder: Load
) -> None:
    shipping = load_folder(penalized, backend, "generation=checkpoint")
    decoding = shipping.engine.decoding(shipping.generation)
    assert (decoding["repetition_penalty"], decoding["do_sample"], decoding["top_k"]) == (1.9, True, 5)
    greedy = shipping.invoke("Once upon a time", do_sample=False, max_new_tokens=20)
    assert greedy != load_folder(tiny_gpt2, backend).invoke("Once upon a time", max_new_tokens=20)
    same = load_folder(tiny_gpt2, backend).invoke("Once upon a time", repetition_penalty=1.9, max_new_tokens=20)
    assert greedy == same


def test_generating_restores_the_models_generation_config(penalized: Path, load_folder: Load) -> None:
    llm = load_folder(penalized, "pytorch")
    llm.invoke("Once upon a time", max_new_tokens=2)
    assert llm.engine.model.generation_config.repetition_penalty == 1.9


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_second_bos_is_added_to_a_chat_template_that_starts_with_one(
    with_bos: Path, backend: str, load_folder: Load
) -> None:
    llm = load_folder(with_bos, backend, "generation.max_new_tokens=2")
    chain = ChatPromptTemplate([("user", "{q}")]) | llm
    bos = llm.engine.encode("hello")[0]

    def ids(value: Any) -> list[int]:
        info = llm.generate_prompt([value]).generations[0][0].generation_info
        return list(info["prompt_ids"])

    from langchain_core.prompt_values import StringPromptValue

    chat = ids(ChatPromptTemplate([("user", "{q}")]).invoke({"q": "hello"}))
    assert chat[0] == bos and chat.count(bos) == 1
    assert ids(StringPromptValue(text="hello"))[0] == bos
    assert chain.invoke({"q": "hello"}) == "".join(chain.stream({"q": "hello"}))


def test_the_last_assistant_message_is_continued(with_bos: Path, tmp_path: Path, load_folder: Load) -> None:
    llm = load_folder(with_bos, "pytorch")
    value = llm.prompt_value([("user", "count"), ("ai", "one, two")])
    assert value.to_string() == "<s>[user]count[assistant]one, two"


def test_chat_template_kwargs_reach_the_template(tmp_path: Path, load_folder: Load) -> None:
    template = "{% if shout %}LOUD {% endif %}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    folder = tiny_models.save_gpt2(tmp_path / "m", chat_template=template)
    llm = load_folder(folder, "pytorch", "prompt=chat", "+prompt.chat_template_kwargs.shout=true")
    assert llm.prompt_value([("user", "hi")]).to_string() == "LOUD hi"
    quiet = llm.bind(chat_template_kwargs={"shout": False}, max_new_tokens=1, skip_prompt=False)
    assert quiet.invoke([("user", "hi")]).startswith("hi")
    assert "".join(quiet.stream([("user", "hi")])).startswith("hi")


def test_a_model_without_chat_template_rejects_chats_with_a_hint(tiny_gpt2: Path, load_folder: Load) -> None:
    llm = load_folder(tiny_gpt2, "pytorch")
    with pytest.raises(PromptError, match=r"no chat template.*prompt=step_by_step"):
        llm.invoke([("user", "hello")])


def test_a_prompt_longer_than_the_context_is_rejected_and_an_answer_ends_at_the_context(
    tiny_gpt2: Path, load_folder: Load
) -> None:
    llm = load_folder(tiny_gpt2, "pytorch", "generation.ignore_eos=true", "generation.max_new_tokens=500")
    with pytest.raises(PromptError, match=r"more than the model's context length \(128\)"):
        llm.invoke("word " * 200)
    (generation,) = llm.generate(["Once upon a time"]).generations[0]
    assert generation.generation_info["token_usage"]["total_tokens"] == 128
    assert generation.generation_info["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_layer": 3}, "12 tensors of the architecture in config.json are missing from the weights"),
        ({"vocab_size": 500}, "shapes of weights differ from those in config.json"),
        ({"activation_function": 5}, r"transformers cannot use .*config\.json"),
    ],
    ids=str,
)
def test_weights_that_do_not_match_the_config_are_rejected(
    changes: dict[str, Any], said: str, tiny_gpt2: Path, tmp_path: Path, load_folder: Load
) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ModelError, match=said):
        load_folder(folder, "pytorch")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_token_without_embedding_fails_its_prompt(
    backend: str, tiny_gpt2: Path, tmp_path: Path, load_folder: Load
) -> None:
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "model"))
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    added = {"id": 400, "content": "<new>", "special": True}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    tokenizer["added_tokens"].append(added | flags)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    llm = load_folder(folder, backend)
    assert isinstance(llm.invoke("Once upon a time", max_new_tokens=2), str)
    with pytest.raises(PromptError, match=r"token id \d+ for this text, but the model has only \d+ tokens"):
        llm.invoke("a <new> token")


@pytest.mark.parametrize("kernels", ["eager", "sdpa"])
def test_the_attention_implementation_is_applied_and_recorded(tiny_gpt2: Path, kernels: str, load_folder: Load) -> None:
    llm = load_folder(tiny_gpt2, "pytorch", f"model.attn_implementation={kernels}", "generation.max_new_tokens=8")
    assert llm.engine.identity["attn_implementation"] == kernels
    assert llm.engine.model.config._attn_implementation == kernels
    assert llm.invoke("Once upon a time") == load_folder(tiny_gpt2, "pytorch", "generation.max_new_tokens=8").invoke(
        "Once upon a time"
    )


def test_an_unavailable_attention_implementation_is_rejected(tiny_gpt2: Path, load_folder: Load) -> None:
    from hforch.errors import ConfigError

    with pytest.raises(ConfigError, match=r"flash_attention_2 requires an NVIDIA GPU"):
        load_folder(tiny_gpt2, "pytorch", "model.attn_implementation=flash_attention_2")


def test_wrappers_of_a_pipeline_share_an_engine_that_is_freed_with_them(tiny_gpt2: Path) -> None:
    import gc
    import weakref

    from transformers import pipeline

    from hforch import HforchPipeline

    pipe = pipeline("text-generation", model=str(tiny_gpt2), max_new_tokens=3)
    one, other = HforchPipeline(pipeline=pipe), HforchPipeline(pipeline=pipe)
    assert one.engine is other.engine
    engine = weakref.ref(one.engine)
    assert one.invoke("Once") == other.invoke("Once")
    del one, other, pipe
    gc.collect()
    assert engine() is None


def test_without_a_seed_each_call_uses_a_random_one(tiny_gpt2: Path, load_folder: Load) -> None:
    llm = load_folder(
        tiny_gpt2, "pytorch", "generation=sample", "generation.temperature=2.0", "generation.max_new_tokens=20"
    )
    assert llm.invoke("Once") == llm.invoke("Once")
    drawn = llm.bind(seed=None)
    assert len({drawn.invoke("Once") for _ in range(4)}) > 1


@pytest.mark.parametrize("wrong", [{"stop": [""]}, {"stop": [3]}, {"batch_size": 0}, {"seed": -1}])
def test_invalid_argument_values_are_rejected(tiny_gpt2: Path, wrong: dict[str, Any], load_folder: Load) -> None:
    from hforch.errors import UnknownArgument

    llm = load_folder(tiny_gpt2, "pytorch", "generation.max_new_tokens=2")
    with pytest.raises(UnknownArgument, match=next(iter(wrong))):
        llm.invoke("Once", **wrong)


def test_a_single_stop_may_be_a_string(tiny_gpt2: Path, load_folder: Load) -> None:
    llm = load_folder(tiny_gpt2, "pytorch")
    text = llm.invoke("Once upon a time")
    assert llm.invoke("Once upon a time", stop=text[3:6]) == text[: text.index(text[3:6])]


def test_a_checkpoint_sets_token_selection_but_not_the_generation_mode(
    tiny_gpt2: Path, tmp_path: Path, load_folder: Load
) -> None:
    """Drafted tokens arrive several at a time, and a time limit is not a property of an answer."""
    shipped = {"prompt_lookup_num_tokens": 3, "max_time": 0.001, "repetition_penalty": 1.1}
    folder = tiny_models.save_gpt2(tmp_path / "m", generation=shipped)
    prompt = "rarararararararara ra ra ra rararara"
    llm = load_folder(folder, "pytorch", "generation=checkpoint", "generation.do_sample=false")
    plain = load_folder(tiny_gpt2, "pytorch", "generation.repetition_penalty=1.1")
    assert llm.invoke(prompt) == plain.invoke(prompt)


def test_no_second_bos_is_added_to_text_that_starts_with_one(with_bos: Path, load_folder: Load) -> None:
    llm = load_folder(with_bos, "pytorch")
    bos = llm.engine.encode("hello")[0]
    assert llm.engine.encode("<s>hello").count(bos) == 1
    assert llm.engine.encode("hello")[0] == bos


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_new_tokens": 10}, {"max_new_tokens": 10, "do_sample": False}),
        ({"temperature": 0.5}, {"temperature": 0.5, "do_sample": True}),
        ({"do_sample": False, "temperature": 0.8}, {"do_sample": False, "temperature": None}),
        ({"repetition_penalty": 1.3, "num_beams": 2}, {"repetition_penalty": 1.3, "num_beams": 2}),
    ],
)
def test_arguments_of_a_pipeline_are_applied(tiny_gpt2: Path, given: dict[str, Any], expected: dict[str, Any]) -> None:
    llm = wrap(tiny_gpt2, **given)
    assert llm.generation.model_dump() | expected == llm.generation.model_dump()


def wrap(folder: Path, **given: Any) -> Any:
    from transformers import pipeline

    from hforch import HforchPipeline

    return HforchPipeline(pipeline=pipeline("text-generation", model=str(folder), **given))


def test_stop_strings_of_a_pipeline_and_arguments_of_the_wrapper_are_applied(tiny_gpt2: Path) -> None:
    from hforch import HforchPipeline
    from hforch.errors import UnknownArgument

    llm = wrap(tiny_gpt2, stop_strings=["END"])
    assert llm.stop == ("END",)
    own = HforchPipeline(pipeline=llm.pipeline, pipeline_kwargs={"stop": ["a"], "seed": 7, "return_full_text": True})
    assert (own.stop, own.seed, own.echo) == (("a",), 7, True)
    with pytest.raises(UnknownArgument, match="num_return_sequences"):
        wrap(tiny_gpt2, num_return_sequences=2, do_sample=True)
    for wrong in ({"batch_size": 0}, {"stop": [""]}, {"seed": -1}):
        with pytest.raises(UnknownArgument, match=next(iter(wrong))):
            HforchPipeline(pipeline=llm.pipeline, **wrong)
    with pytest.raises(UnknownArgument, match="requires pipeline="):
        HforchPipeline(pipeline="gpt2")


def test_two_tokenizers_of_one_model_are_separate_and_share_its_queue(tiny_gpt2: Path) -> None:
    from transformers import AutoTokenizer, TextGenerationPipeline

    from hforch import HforchPipeline

    first = wrap(tiny_gpt2)
    other = AutoTokenizer.from_pretrained(tiny_gpt2)
    other.chat_template = TEMPLATE
    second = HforchPipeline(pipeline=TextGenerationPipeline(model=first.pipeline.model, tokenizer=other))
    assert second.engine.tokenizer is other
    assert second.engine.queue is first.engine.queue
    assert second.invoke([("user", "hi")], max_new_tokens=2) is not None


def test_an_open_stream_does_not_prevent_exit() -> None:
    program = """
from hforch import load_llm
llm = load_llm("backend=fake", "backend.token_s=0.3", "generation.ignore_eos=true", "generation.max_new_tokens=400")
stream = llm.stream("hello")
next(stream)
import hforch.generation.request_queue
hforch.generation.request_queue.GRACE_S = 100  # exit waits this long for work that is not cancelled
"""
    import subprocess
    import sys

    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
