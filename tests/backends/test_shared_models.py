"""LLMs with the same load key share one model, which is freed when the last of them is closed or collected."""

from __future__ import annotations

import copy
import gc
import shutil
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backends_tested import BACKENDS, EXACT
from langchain_core.runnables import ConfigurableField

from hforch import HforchPipeline, load_chain, load_llm
from hforch.backends import shared_models
from hforch.errors import ConfigError, GenerationError
from hforch.utils.in_fork import run_in_fork

pytestmark = pytest.mark.model
PROMPT = "Once upon a time"


@pytest.fixture(autouse=True)
def nothing_remains() -> Iterator[None]:
    """Check that a test leaves no model loaded of those that it has loaded."""
    gc.collect()
    before = set(shared_models._models)
    yield
    gc.collect()
    assert set(shared_models._models) <= before


@pytest.fixture(scope="module")
def tiny_gpt2(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, which no LLM of another module shares."""
    return Path(shutil.copytree(tiny_gpt2, tmp_path_factory.mktemp("own") / "gpt2"))


@pytest.fixture(params=["fake", *BACKENDS])
def words(request: pytest.FixtureRequest, tiny_gpt2: Path) -> tuple[str, ...]:
    if request.param == "fake":
        return ("backend=fake", "backend.prefill_s=0.001")
    return ("model=local", f"model.path={tiny_gpt2}", f"backend={request.param}", *EXACT)


def test_two_llms_share_a_model_with_different_settings(words: tuple[str, ...]) -> None:
    with load_llm(*words, generation={"max_new_tokens": 4}) as one:
        expected = one.invoke(PROMPT)
        with load_llm(*words, generation={"max_new_tokens": 2}, stop=["zz"]) as two:
            assert two.engine is one.engine
            assert two.invoke(PROMPT) == one.invoke(PROMPT, max_new_tokens=2) != expected
        assert one.invoke(PROMPT) == expected, "the other LLM was closed"
        with pytest.raises(GenerationError, match="the model is closed"):
            two.invoke(PROMPT)


async def test_a_closed_llm_and_its_copies_raise_an_error(words: tuple[str, ...]) -> None:
    other = load_llm(*words)
    llm = load_llm(*words)
    copies = [llm, llm.bind(stop=["x"]), copy.copy(llm), copy.deepcopy(llm), llm.with_arguments(max_new_tokens=2)]
    copies.append(llm.configurable_fields(seed=ConfigurableField(id="seed")).with_config(configurable={"seed": 3}))
    llm.close()
    llm.close()
    for each in copies:
        with pytest.raises(GenerationError, match="the model is closed"):
            each.invoke(PROMPT)
        with pytest.raises(GenerationError, match="the model is closed"):
            list(each.stream(PROMPT))
    with pytest.raises(GenerationError, match="the model is closed"):
        await llm.ainvoke(PROMPT)
    assert other.invoke(PROMPT, max_new_tokens=2) is not None
    assert llm.get_token_ids(PROMPT) == other.get_token_ids(PROMPT)
    other.close()
    assert llm.engine.is_closed


def test_closing_frees_the_model_even_if_llms_still_reference_it(tiny_gpt2: Path) -> None:
    for backend in ("pytorch", "openvino"):
        words = ("model=local", f"model.path={tiny_gpt2}", f"backend={backend}", *EXACT)
        one, two = load_llm(*words), load_llm(*words)
        one.invoke(PROMPT, max_new_tokens=2)
        model = weakref.ref(one.engine.model)
        one.close()
        gc.collect()
        assert model() is not None
        two.close()
        gc.collect()
        assert model() is None, backend
    genai = load_llm("model=local", f"model.path={tiny_gpt2}", "backend=openvino_genai", *EXACT)
    genai.invoke(PROMPT, max_new_tokens=2)
    genai.close()
    assert genai.engine.pipe is None and not genai.engine._scheduler._thread.is_alive()


def test_a_model_is_freed_when_its_llms_are_collected(words: tuple[str, ...]) -> None:
    one, chain = load_llm(*words), load_chain(*words)
    engine = weakref.ref(one.engine)
    derived = one.bind(max_new_tokens=2)
    del one
    gc.collect()
    assert derived.invoke(PROMPT) is not None and engine() is not None
    del derived
    gc.collect()
    assert engine() is not None, "the chain uses it"
    del chain
    gc.collect()
    assert engine() is None


def test_threads_that_need_the_same_model_load_it_once(tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load, loaded, found = shared_models.load_prepared, [], []

    def counted(*arguments: Any) -> Any:
        loaded.append(arguments)
        return load(*arguments)

    monkeypatch.setattr(shared_models, "load_prepared", counted)

    def work(number: int) -> None:
        with load_llm("model=local", f"model.path={tiny_gpt2}", *EXACT, generation={"max_new_tokens": number}) as llm:
            barrier.wait(60)
            found.append((number, len(llm.get_token_ids(llm.invoke(PROMPT))), llm.engine))

    barrier = threading.Barrier(6)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 1 and len({id(engine) for _, _, engine in found}) == 1
    assert sorted(number for number, _, _ in found) == [1, 2, 3, 4, 5, 6]


def test_other_load_settings_or_weights_are_not_shared(tiny_gpt2: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_gpt2, tmp_path / "model")
    one = load_llm(model=folder)
    assert load_llm(model=folder, precision="bf16").engine is not one.engine
    assert load_llm(model=folder, runtime={"seed": 3, "batch_size": 2}).engine is one.engine
    from safetensors.torch import load_file, save_file

    weights = {name: tensor * 1.5 for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    other = load_llm(model=folder)
    assert other.engine is not one.engine
    assert HforchPipeline.from_model_id(str(folder)).engine is other.engine


def test_a_load_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ConfigError([])

    with monkeypatch.context() as patched:
        patched.setattr(shared_models, "load_prepared", fail)
        with pytest.raises(ConfigError):
            load_llm("backend=fake", "backend.prefill_s=0.002")
    with load_llm("backend=fake", "backend.prefill_s=0.002") as llm:
        assert llm.invoke(PROMPT)


def test_an_engine_that_was_closed_is_not_shared() -> None:
    one = load_llm("backend=fake", "backend.prefill_s=0.003")
    one.engine.close()
    assert load_llm("backend=fake", "backend.prefill_s=0.003").invoke(PROMPT)


def test_a_forked_process_loads_its_own_model() -> None:
    with load_llm("backend=fake", "backend.prefill_s=0.004") as llm:
        expected = llm.invoke(PROMPT)
        assert run_in_fork(lambda: load_llm("backend=fake", "backend.prefill_s=0.004").invoke(PROMPT)) == expected
        assert llm.invoke(PROMPT) == expected


def test_the_pipeline_of_a_caller_stays_usable(tiny_gpt2: Path) -> None:
    from transformers import pipeline

    pipe = pipeline("text-generation", model=str(tiny_gpt2), do_sample=False, max_new_tokens=2)
    other = HforchPipeline(pipeline=pipe)
    with HforchPipeline(pipeline=pipe) as llm:
        expected = llm.invoke(PROMPT)
    with pytest.raises(GenerationError, match="the model is closed"):
        llm.invoke(PROMPT)
    assert other.invoke(PROMPT) == expected
    assert pipe(PROMPT, return_full_text=False)[0]["generated_text"] == expected
