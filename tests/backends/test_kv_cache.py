"""Tests that a static KV cache and a compiled forward pass change no text and violate no guarantee."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import command_line
import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from hforch import load_llm
from hforch.backends.huggingface import compiler, kv_cache
from hforch.backends.huggingface.kv_cache import MOST_SHAPES, PAYS_FROM_STEPS, KVCaches, choose, length_of
from hforch.config.backends.pytorch import PytorchBackend
from hforch.config.compose import job_from_overrides
from hforch.errors import BackendError, ConfigError
from hforch.generation.engine import Work
from hforch.records.record_files import read_record
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

PROMPTS = [
    "A quick brown fox",
    "The",
    "What is the number 2 in french? " * 4,
    "def add(a, b):",
    "Answer",
    "signals of",
    "x",
]
MODELS: dict[str, Callable[[Path], Path]] = {
    "llama": tiny_models.save_llama,
    "mistral with a window": lambda folder: tiny_models.save_llama(folder, window=16),
    "gpt2": tiny_models.save_gpt2,
}


def asked(cache: str, compiled: Any) -> PytorchBackend:
    overrides = ["backend=pytorch", f"backend.kv_cache={cache}", f"backend.compile={compiled}"]
    backend = job_from_overrides(overrides).backend
    assert isinstance(backend, PytorchBackend)
    return backend


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp("kv") / "model") for name, save in MODELS.items()}


def loaded(load: Callable[..., Any], folder: Path, *more: str) -> Any:
    overrides = ("model=local", f"model.path={folder}", "precision=fp32", "generation.max_new_tokens=24", *more)
    return load(*overrides)


# ---------------------------------------------------------------- choice
@pytest.mark.parametrize(
    ("cache", "compiled", "device", "lacking", "steps", "expected"),
    [
        ("auto", "auto", "cpu", None, 10**6, ("dynamic", False)),
        ("auto", "auto", "cuda", None, PAYS_FROM_STEPS, ("static", True)),
        ("auto", "auto", "cuda", None, PAYS_FROM_STEPS - 1, ("dynamic", False)),
        ("auto", "auto", "cuda", None, None, ("dynamic", False)),
        ("auto", "auto", "cuda", "no cache of that kind", 10**6, ("dynamic", False)),
        ("auto", True, "cpu", None, None, ("static", True)),
        ("auto", False, "cuda", None, 10**6, ("dynamic", False)),
        ("static", "auto", "cuda", None, None, ("static", True)),
        ("static", "auto", "cpu", None, 10**6, ("static", False)),
        ("static", "auto", "cuda", "weights that do not compile", 10**6, ("static", False)),
        ("static", False, "cuda", None, 10**6, ("static", False)),
        ("dynamic", "auto", "cuda", None, 10**6, ("dynamic", False)),
    ],
)
def test_cache_and_compilation_choice(
    cache: str, compiled: Any, device: str, lacking: str | None, steps: int | None, expected: tuple[str, bool]
) -> None:
    chosen = choose(asked(cache, compiled), device, lacking, steps)
    assert (chosen.kv_cache, chosen.is_compiled) == expected
    if "auto" in (cache, compiled) and cache != "dynamic":
        assert "auto: " in str(chosen.why)


def test_conflicting_options_are_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"backend\.compile: .*kv_cache=dynamic grows"):
        job_from_overrides(["backend.kv_cache=dynamic", "backend.compile=true"])


def test_a_missing_compiler_is_reported_before_loading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    (mistake,) = kv_cache.check(asked("auto", True), "cpu")
    assert mistake.path == "backend.compile" and "C++ compiler" in mistake.problem
    monkeypatch.setattr(compiler, "find_spec", lambda name: None)
    (mistake,) = kv_cache.check(asked("auto", True), "gpu")
    assert "triton" in mistake.problem
    monkeypatch.setattr(compiler, "find_spec", lambda name: name)
    monkeypatch.delenv("CC", raising=False)
    (mistake,) = kv_cache.check(asked("auto", True), "gpu")
    assert "a C compiler" in mistake.problem and "apt install gcc" in str(mistake.hint)
    monkeypatch.setenv("CC", sys.executable)
    monkeypatch.setattr(compiler, "_headers", lambda: tmp_path)
    (mistake,) = kv_cache.check(asked("auto", True), "gpu")
    assert "Python.h" in mistake.problem
    (tmp_path / "Python.h").touch()
    assert kv_cache.check(asked("auto", True), "gpu") == []
    assert kv_cache.check(asked("auto", "auto"), "cpu") == []


# ---------------------------------------------------------------- shapes
@given(tokens=st.integers(1, 200_000))
def test_a_cache_is_only_slightly_longer_than_needed(tokens: int) -> None:
    assert tokens <= length_of(tokens) <= max(64, tokens + 15, tokens * 9 / 8)
    assert length_of(length_of(tokens)) == length_of(tokens)


def test_there_are_few_distinct_lengths() -> None:
    assert len({length_of(tokens) for tokens in range(1, 8193)}) < 60


def caches(folder: Path, work: Work) -> KVCaches:
    from transformers import AutoModelForCausalLM

    return KVCaches(AutoModelForCausalLM.from_pretrained(folder), asked("static", False), work)


@pytest.mark.model
def test_the_shape_of_a_batch_does_not_depend_on_earlier_batches(folders: dict[str, Path]) -> None:
    first, second = (caches(folders["llama"], Work(rows=8, tokens=100)) for _ in range(2))
    asks = [(8, 100), (3, 90), (2, 20), (1, 20), (8, 300), (9, 40)]
    assert [first.shape(*one) for one in asks] == [second.shape(*one) for one in reversed(asks)][::-1]
    assert [first.shape(*one) for one in asks] == [(8, 104 + 8), (8, 112), (8, 112), None, (8, 320), (9, 112)]


@pytest.mark.model
def test_the_number_of_shapes_is_limited(folders: dict[str, Path]) -> None:
    kept = caches(folders["llama"], Work(rows=1))
    made = [kept.take((1, 64 * number)) for number in range(1, MOST_SHAPES + 2)]
    assert made[-1] is None and None not in made[:-1]
    assert kept.take((1, 64)) is made[0]
    kept.expect(Work(rows=1, tokens=500, steps=10))
    other = kept.take((1, 500))
    assert other is not None
    kept.expect(Work(rows=1, tokens=499, steps=20))
    assert kept.take((1, 500)) is other, "a job of the same shape must reuse the cache and the compiled code"


# ---------------------------------------------------------------- guarantees
@pytest.mark.model
@pytest.mark.parametrize("model", MODELS)
def test_static_and_dynamic_cache_give_the_same_texts(
    load: Callable[..., Any], folders: dict[str, Path], model: str
) -> None:
    """Check ragged batches, a last batch of three rows out of four, a batch too small for the cache, and one row."""
    dynamic = loaded(load, folders[model], "backend.kv_cache=dynamic")
    static = loaded(load, folders[model], "backend.kv_cache=static")
    expected = dynamic.batch(PROMPTS)
    assert len(set(expected)) == len(PROMPTS)
    for _ in range(2):  # a used cache gives the same results as a new one
        assert static.batch(PROMPTS) == expected
    assert static.invoke(PROMPTS[0]) == expected[0] == "".join(static.stream(PROMPTS[0]))
    assert static.with_arguments(batch_size=7).batch(PROMPTS) == expected
    assert static.engine.kv_caches._caches, "the static cache was not used"


@pytest.mark.model
def test_stops_limits_eos_and_counts_equal_those_of_the_dynamic_cache(
    load: Callable[..., Any], folders: dict[str, Path]
) -> None:
    dynamic, static = (loaded(load, folders["llama"], f"backend.kv_cache={one}") for one in ("dynamic", "static"))
    free = dynamic.batch(PROMPTS)
    stops = [free[0][3:6], free[2][5:8]]
    results = [llm.generate(PROMPTS, stop=stops) for llm in (dynamic, static)]
    assert [each[0].text for each in results[0].generations] == [each[0].text for each in results[1].generations]
    for name in ("finish_reason", "output_ids", "token_usage"):
        here, there = ([each[0].generation_info[name] for each in one.generations] for one in results)
        assert here == there
    assert "stop" in {each[0].generation_info["finish_reason"] for each in results[1].generations}
    assert len(static.bind(max_new_tokens=3).generate(PROMPTS[:2]).generations) == 2


@pytest.mark.model
@pytest.mark.parametrize("rows", [1, 3, 4])
def test_the_same_seed_gives_the_same_text(load: Callable[..., Any], folders: dict[str, Path], rows: int) -> None:
    static = loaded(load, folders["llama"], "backend.kv_cache=static", "generation=sample")
    texts = [static.bind(seed=seed).batch(PROMPTS[:rows]) for seed in (1, 2, 1)]
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.model
def test_auto_does_not_compile_without_a_compiler(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every batch on a GPU would fail with auto."""
    monkeypatch.setattr(compiler, "missing_tool", lambda on_cpu: compiler.MissingTool("no compiler", "install one"))
    kept = caches(folders["llama"], Work(rows=1))
    assert (kept.chosen.kv_cache, kept.chosen.is_compiled) == ("static", False)
    monkeypatch.setattr(type(kept.model), "device", SimpleNamespace(type="cuda"))
    kept.asked = asked("auto", "auto")
    kept.expect(Work(rows=1, tokens=100, steps=10**6))
    assert kept.chosen.record() == {"kv_cache": "dynamic", "compiled": False, "why": "kv_cache=auto: no compiler"}


def test_beam_search_is_recorded_with_a_dynamic_cache(folders: dict[str, Path]) -> None:
    kept = caches(folders["llama"], Work(rows=2, tokens=100, steps=10))
    assert kept.chosen.kv_cache == "static" and kept.shape(2, 100)
    kept.expect(Work(rows=2, tokens=100, steps=10, num_beams=3))
    assert kept.chosen.record() == {
        "kv_cache": "dynamic",
        "compiled": False,
        "why": "beam search uses a dynamic cache",
    }


def test_beams_and_schemas_work_with_a_static_cache(load: Callable[..., Any], folders: dict[str, Path]) -> None:
    dynamic, static = (loaded(load, folders["llama"], f"backend.kv_cache={one}") for one in ("dynamic", "static"))
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    for arguments in ({"num_beams": 2}, {"json_schema": schema}, {"repetition_penalty": 1.3}):
        assert static.bind(**arguments).batch(PROMPTS[:3]) == dynamic.bind(**arguments).batch(PROMPTS[:3])


@pytest.mark.model
def test_closing_a_stream_stops_generation_and_the_next_call_is_correct(
    load: Callable[..., Any], folders: dict[str, Path]
) -> None:
    static = loaded(load, folders["llama"], "backend.kv_cache=static")
    expected = static.invoke(PROMPTS[0])
    stream = static.bind(max_new_tokens=400).stream(PROMPTS[1])
    next(stream)
    stream.close()
    assert static.invoke(PROMPTS[0]) == expected


@pytest.mark.model
def test_a_model_without_static_cache_is_rejected_and_auto_uses_a_dynamic_one(tmp_path: Path) -> None:
    import torch
    from transformers import MambaConfig, MambaForCausalLM

    tokenizer = tiny_models.byte_level_tokenizer()
    torch.manual_seed(0)
    model = MambaForCausalLM(
        MambaConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, eos_token_id=0)
    )
    tiny_models._save(model, tokenizer, tmp_path, None)
    words = ("model=local", f"model.path={tmp_path}", "precision=fp32", "generation.max_new_tokens=4")
    with pytest.raises(
        BackendError, match=r"not support a static KV cache for MambaForCausalLM; use backend\.kv_cache="
    ):
        load_llm(*words, "backend.kv_cache=static")
    with pytest.raises(BackendError, match=r"compile=true: .* MambaForCausalLM; use backend.compile=false"):
        load_llm(*words, "backend.compile=true")
    assert load_llm(*words).invoke("The") is not None


@pytest.mark.model
@pytest.mark.parametrize("compiled", ["auto", True])
def test_failed_compilation_falls_back_with_auto_and_raises_with_true(
    folders: dict[str, Path], compiled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.exc import TorchDynamoException

    words = ("model=local", f"model.path={folders['llama']}", "precision=fp32", "generation.max_new_tokens=24")
    expected = load_llm(*words).batch(PROMPTS[:4])
    llm = load_llm(*words, f"backend.compile={compiled}")
    kept = llm.engine.kv_caches
    kept.chosen = kv_cache.Execution("static", True)  # as on a GPU

    def fails(config: Any) -> Any:
        raise TorchDynamoException("no kernel for this GPU")

    monkeypatch.setattr(llm.engine.model, "get_compiled_call", fails, raising=False)
    if compiled is True:
        with pytest.raises(TorchDynamoException):
            llm.batch(PROMPTS[:4])
        return
    assert llm.batch(PROMPTS[:4]) == expected
    assert (kept.chosen.kv_cache, kept.chosen.is_compiled) == ("dynamic", False)
    assert "no kernel for this GPU" in kept._lacking and not kept._caches
    kept.chosen = kv_cache.Execution("static", True)
    with pytest.raises(TorchDynamoException):  # streamed text cannot be undone
        list(llm.stream(PROMPTS[0]))


# ---------------------------------------------------------------- runs
@pytest.mark.model
def test_cuda_graphs_can_be_recorded_in_any_thread() -> None:
    """Before torch 2.13, a thread that did not import `cudagraph_trees` fails when it looks up its graphs."""
    from torch._C import _get_obj_in_tls, _is_key_in_tls
    from torch._inductor import cudagraph_trees

    names = ("tree_manager_containers", "tree_manager_locks")

    def found() -> tuple[list[bool], list[int]]:
        before = [_is_key_in_tls(name) for name in names]
        kv_cache.enable_cuda_graphs()
        first = [id(_get_obj_in_tls(name)) for name in names]
        kv_cache.enable_cuda_graphs()  # keeps the graphs of earlier calls
        assert [id(_get_obj_in_tls(name)) for name in names] == first
        assert [id(getattr(cudagraph_trees.local, name)) for name in names] == first
        return before, first

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        results = [each.submit(found).result() for each in (one, other)]
    assert [before for before, _ in results] == [[False, False]] * 2
    assert results[0][1] != results[1][1]


def test_a_run_records_cache_and_compilation(folders: dict[str, Path], tmp_path: Path) -> None:
    words = ["model=local", f"model.path={folders['llama']}", "precision=fp32", "inputs=numbers_in_french"]
    done = command_line.run(*words, "backend.kv_cache=static", f"hydra.run.dir={tmp_path / 'static'}")
    assert done.returncode == 0, done.stderr
    assert command_line.run(*words, f"hydra.run.dir={tmp_path / 'auto'}").returncode == 0
    static, auto = (read_record(tmp_path / name)["effective"]["execution"] for name in ("static", "auto"))
    assert static["kv_cache"] == "static" and not static["compiled"]
    assert auto["kv_cache"] == "dynamic" and "CPU" in auto["why"]


@pytest.mark.model
def test_a_run_records_failed_compilation_and_continues_without(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.exc import TorchDynamoException
    from transformers import LlamaForCausalLM

    def as_on_a_gpu(asked: Any, device: str, lacking: str | None, steps: int | None) -> kv_cache.Execution:
        return choose(asked, "cuda", lacking, PAYS_FROM_STEPS)

    def fails(self: Any, config: Any) -> Any:
        raise TorchDynamoException("no kernel for this GPU")

    monkeypatch.setattr(kv_cache, "choose", as_on_a_gpu)
    monkeypatch.setattr(kv_cache, "_no_compiler", lambda device: None)
    monkeypatch.setattr(LlamaForCausalLM, "get_compiled_call", fails)
    words = ("model=local", f"model.path={folders['llama']}", "precision=fp32", "inputs=numbers_in_french")
    job = job_from_overrides([*words, "runtime.isolation=inline"])
    assert run(job, tmp_path, JobContext(words), NullWatcher()) == 0
    record = read_record(tmp_path)
    execution = record["effective"]["execution"]
    assert (execution["kv_cache"], execution["compiled"]) == ("dynamic", False)
    (warning,) = [one for one in record["warnings"] if one.startswith("backend.compile: compilation was disabled")]
    assert "no kernel for this GPU" in warning and "no kernel for this GPU" in execution["why"]


COMPILES = """
import json, sys
import torch._dynamo.utils as told
from hforch import load_llm
llm = load_llm(*sys.argv[1:])
prompts = json.load(sys.stdin)
print(json.dumps([llm.batch(prompts), llm.batch(prompts), told.counters["stats"]["unique_graphs"],
                  told.counters["inductor"]["fxgraph_cache_hit"]]))
"""


@pytest.mark.slow
def test_compiled_texts_are_equal_and_the_next_process_reuses_the_compiled_code(
    load: Callable[..., Any], folders: dict[str, Path], tmp_path: Path
) -> None:
    words = ["model=local", f"model.path={folders['llama']}", "precision=fp32", "generation.max_new_tokens=24"]
    environment = {**os.environ, "HFORCH_CACHE": str(tmp_path)}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    hits = []
    for _ in range(2):
        command = [sys.executable, "-c", COMPILES, *words, "backend.compile=true"]
        done = subprocess.run(
            command, input=json.dumps(PROMPTS[:4]), env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        first, second, graphs, hit = json.loads(done.stdout.splitlines()[-1])
        assert first == second == loaded(load, folders["llama"]).batch(PROMPTS[:4])
        assert graphs == 1, "all steps have the same shape, so a single graph must be compiled"
        hits.append(hit)
    assert any((tmp_path / "compiled").iterdir())
    assert hits == [0, 1]
