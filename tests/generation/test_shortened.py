"""Tests of shortened answers, for which the model is prepared as for full ones, on every backend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hforch import load_llm
from hforch.backends import pytorch
from hforch.generation.llm import HforchLLM
from hforch.machine import accelerators

PROMPTS = ["The capital of France is", "one, two, three, four, five, six,"]


def infos(llm: HforchLLM, prompts: list[str] = PROMPTS) -> list[dict[str, Any]]:
    """Return the generation_info of each answer."""
    return [generation.generation_info or {} for (generation,) in llm.generate(prompts).generations]


@pytest.mark.slow
def test_answers_have_the_given_number_of_tokens_and_the_llm_is_unchanged(smollm2: Any) -> None:
    llm = smollm2.with_arguments(max_new_tokens=5)
    found = infos(llm.shortened(3))
    whole = infos(llm)
    assert [one["token_usage"]["completion_tokens"] for one in found] == [3, 3]
    assert [one["finish_reason"] for one in found] == ["length", "length"]
    assert [one["output_ids"] for one in found] == [one["output_ids"][:3] for one in whole]
    assert [one["token_usage"]["completion_tokens"] for one in whole] == [5, 5]
    assert all(one["timings"]["ttft_ms"] > 0 and one["timings"]["tpot_ms"] > 0 for one in found)


@pytest.mark.slow
def test_beam_search_ends_after_the_given_number_of_tokens(smollm2: Any) -> None:
    found = infos(smollm2.with_arguments(num_beams=2).shortened(3))
    assert [one["token_usage"]["completion_tokens"] for one in found] == [3, 3]
    assert [one["finish_reason"] for one in found] == ["length", "length"]


@pytest.mark.slow
def test_stops_and_min_new_tokens_are_ignored(smollm2: Any) -> None:
    (first,) = infos(smollm2.shortened(1), PROMPTS[:1])
    word = smollm2.engine.vocabulary().decode(first["output_ids"][:1])
    (found,) = infos(smollm2.with_arguments(stop=[word], min_new_tokens=10).shortened(3), PROMPTS[:1])
    assert (found["token_usage"]["completion_tokens"], found["finish_reason"]) == (3, "length")


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
def test_the_model_is_prepared_for_the_full_length(
    load: Callable[..., Any], tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch, backend: str, beams: int
) -> None:
    """A fixed-size KV cache is as large as in the measured phase, but only the requested steps run."""
    llm = load("model=local", f"model.path={tiny_gpt2}", f"backend={backend}", "generation.max_new_tokens=40")
    llm = llm.with_arguments(num_beams=beams)
    prepared, forwards = [], []
    generate, forward = llm.engine.model.generate, llm.engine.model.forward

    def noted(**given: Any) -> Any:
        prepared.append(given["generation_config"].max_new_tokens)
        return generate(**given)

    @wraps(forward)
    def counted(*given: Any, **named: Any) -> Any:
        forwards.append(1)
        return forward(*given, **named)

    monkeypatch.setattr(llm.engine.model, "generate", noted)
    monkeypatch.setattr(llm.engine.model, "forward", counted)
    found = infos(llm.shortened(5))
    assert [one["token_usage"]["completion_tokens"] for one in found] == [5, 5]
    assert prepared == [40]
    assert len(forwards) == 5


def test_a_smaller_max_new_tokens_applies(load: Callable[..., Any], tiny_gpt2: Path) -> None:
    llm = load("model=local", f"model.path={tiny_gpt2}", "backend=pytorch", "generation.max_new_tokens=2")
    found = infos(llm.shortened(9))
    assert [one["token_usage"]["completion_tokens"] for one in found] == [2, 2]


def test_an_answer_under_a_schema_may_end_earlier(load: Callable[..., Any], tiny_gpt2: Path) -> None:
    """At its end, a grammar allows only EOS, so EOS cannot be ignored."""
    llm = load("model=local", f"model.path={tiny_gpt2}", "backend=pytorch", "generation.max_new_tokens=40")
    held = llm.with_arguments(json_schema={"enum": ["a"]}).shortened(9)
    assert {one["finish_reason"] for one in infos(held)} == {"eos"}


def test_langchains_cache_distinguishes_shortened_answers() -> None:
    from langchain_core.caches import InMemoryCache

    llm = load_llm("backend=fake", cache=InMemoryCache())
    short = llm.shortened(2).invoke("a prompt")
    whole = llm.invoke("a prompt")
    assert whole.startswith(short) and len(whole) > len(short)
    assert llm.shortened(2).invoke("a prompt") == short


def test_only_accelerators_of_the_model_are_synchronized(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[tuple[str, int]] = []

    def devices(kind: str, count: int, is_initialized: bool) -> SimpleNamespace:
        synchronize = lambda index: waited.append((kind, index))  # noqa: E731
        module = SimpleNamespace(**dict.fromkeys(accelerators.MEASURES), synchronize=synchronize)
        module.is_initialized, module.device_count = (lambda: is_initialized), (lambda: count)
        return module

    def wait(*names: str) -> list[tuple[str, int]]:
        waited.clear()
        accelerators.synchronize(names)
        return list(waited)

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=devices("cuda", 3, True)))
    assert wait("cpu") == []
    assert wait("cpu", "cuda:1", "disk", "0") == [("cuda", 0), ("cuda", 1)]  # accelerate's map numbers devices
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(cuda=devices("cuda", 1, False), xpu=devices("xpu", 1, True))
    )
    assert wait("xpu:0") == [("xpu", 0)]
    assert wait("cuda:0") == []
    monkeypatch.delitem(sys.modules, "torch")
    assert wait("cuda:0") == []


def test_a_loaded_model_synchronizes_its_own_devices(tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hforch.config.compose import job_from_overrides
    from hforch.utils.progress import Silent

    job = job_from_overrides(["model=local", f"model.path={tiny_gpt2}", "backend=pytorch"])
    waited: list[Any] = []
    monkeypatch.setattr(accelerators, "synchronize", waited.append)
    loaded = pytorch.load(job, pytorch.prepare(job, Silent()))
    loaded.synchronize()
    loaded.engine.close()
    assert waited == [["cpu"]]
