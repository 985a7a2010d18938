"""Tests of generation on a real GPU, with tiny generated models: precisions, KV caches, guarantees, sweeps."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from finished import ROOT

from hforch import load_llm
from hforch.errors import GenerationError
from hforch.records.record_files import read_record

pytestmark = [pytest.mark.gpu, pytest.mark.model]

PROMPTS = ["A quick brown fox", "The", "What is the number 2? " * 4, "def add(a, b):", "Answer", "signals of", "x"]
QUANTIZERS = {"int8": "torchao", "int4": "bitsandbytes"}
PRECISIONS = [
    *("fp32", "bf16", "fp16"),
    *(
        pytest.param(name, marks=pytest.mark.skipif(not find_spec(package), reason=f"{package} is not installed"))
        for name, package in QUANTIZERS.items()
    ),
]
CACHES = {
    "dynamic": ("backend.kv_cache=dynamic",),
    "static": ("backend.kv_cache=static", "backend.compile=false"),
    "compiled": ("backend.kv_cache=static", "backend.compile=true"),
}
WEIGHTS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "int8": "int8", "int4": "nf4"}
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "int4": 0.5}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose layers are wide enough for the quantizers."""
    return tiny_models.save_llama(
        tmp_path_factory.mktemp("gpu") / "llama", hidden_size=256, intermediate_size=512, num_hidden_layers=4
    )


@pytest.fixture(scope="module")
def loaded(load: Callable[..., Any], model: Path) -> Callable[..., Any]:
    def on_gpu(*words: str) -> Any:
        return load("model=local", f"model.path={model}", "device=gpu", "generation.max_new_tokens=24", *words)

    return on_gpu


def hforch(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hforch", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=600
    )


# ---------------------------------------------------------------- precisions
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_requested_precision_is_loaded(model: Path, precision: str) -> None:
    import torch

    before = torch.accelerator.memory_allocated()
    llm = load_llm("model=local", f"model.path={model}", "device=gpu", f"precision={precision}")
    told = llm.engine.identity["precision"]
    try:
        assert (told["requested"], told["weights"]) == (precision, WEIGHTS[precision])
        assert told["quantizer"] == QUANTIZERS.get(precision)
        layers = [one for one in llm.engine.model.model.modules() if isinstance(one, torch.nn.Linear)]
        assert {one.weight.device.type for one in layers} == {torch.accelerator.current_accelerator().type}
        weights = sum(one.in_features * one.out_features for one in layers) * BYTES[precision]
        assert torch.accelerator.memory_allocated() - before >= weights
        assert llm.bind(max_new_tokens=4, ignore_eos=True).invoke(PROMPTS[0]) is not None
    finally:
        llm.close()


# ---------------------------------------------------------------- guarantees
def test_fp32_texts_equal_those_of_the_cpu_with_each_cache(load: Callable[..., Any], loaded: Any, model: Path) -> None:
    words = ("model=local", f"model.path={model}", "precision=fp32", "generation.max_new_tokens=24")
    expected = load(*words).batch(PROMPTS)
    for cache in CACHES.values():
        assert loaded("precision=fp32", *cache).batch(PROMPTS) == expected, cache


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("cache", CACHES)
def test_guarantees_of_generation(loaded: Any, precision: str, cache: str) -> None:
    if cache == "compiled" and precision in ("fp16", "int4"):
        pytest.skip("each precision compiles again; two floating-point types and int8 are enough")
    llm = loaded(f"precision={precision}", *CACHES[cache])
    free = llm.batch(PROMPTS)
    assert llm.batch(PROMPTS) == free, "the same batch must give the same texts"
    assert "".join(llm.stream(PROMPTS[0])) == llm.invoke(PROMPTS[0])
    text = llm.invoke(PROMPTS[0])
    stop = text[4:7]
    assert llm.invoke(PROMPTS[0], stop=[stop]) == text[: text.find(stop)]
    assert "".join(llm.stream(PROMPTS[0], stop=[stop])) == text[: text.find(stop)]
    stream = llm.bind(max_new_tokens=400).stream(PROMPTS[1])
    next(stream)
    stream.close()
    assert llm.invoke(PROMPTS[0]) == text, "a cancelled stream must not affect later calls"
    info = llm.generate(PROMPTS[:1]).generations[0][0].generation_info
    assert 0 < info["timings"]["ttft_ms"] <= info["timings"]["latency_ms"]


@pytest.mark.parametrize("cache", CACHES)
def test_the_same_seed_gives_the_same_text(loaded: Any, cache: str) -> None:
    llm = loaded("precision=bf16", "generation=sample", *CACHES[cache])
    texts = [llm.bind(seed=seed).batch(PROMPTS) for seed in (1, 2, 1)]
    assert texts[0] == texts[2] != texts[1]


def test_auto_compiles_for_long_jobs_and_not_for_short_ones(model: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.txt"
    inputs.write_text("\n".join(f"Number {number}" for number in range(64)))
    words = ["model=local", f"model.path={model}", "device=gpu", "prompt=raw", "inputs=file", f"inputs.path={inputs}"]
    words += ["generation.max_new_tokens=16", "generation.ignore_eos=true", "runtime.batch_size=8"]
    for repeat, expected in ((1, False), (40, True)):
        directory = tmp_path / str(repeat)
        done = hforch(*words, f"runtime.repeat={repeat}", f"hydra.run.dir={directory}")
        assert done.returncode == 0, done.stderr + last_words(directory)
        execution = read_record(directory)["effective"]["execution"]
        assert execution["compiled"] is expected and "compiling pays" in execution["why"]


def test_compiled_code_is_cached_for_the_next_process(model: Path, tmp_path: Path) -> None:
    words = ["model=local", f"model.path={model}", "device=gpu", "backend.compile=true", "generation.max_new_tokens=8"]
    for name in ("first", "second"):
        directory = tmp_path / name
        done = hforch(*words, f"hydra.run.dir={directory}", HFORCH_CACHE=str(tmp_path / "cache"))
        assert done.returncode == 0, done.stderr + last_words(directory)
    kept = [file for file in (tmp_path / "cache" / "compiled").rglob("*") if file.is_file()]
    assert kept
    first, second = (read_record(tmp_path / name)["timings"]["warmup_s"] for name in ("first", "second"))
    print(f"warm-up with compiling: {first} s, and again: {second} s")


def test_dropping_a_compiled_model_frees_its_memory(model: Path) -> None:
    import torch

    words = ("model=local", f"model.path={model}", "device=gpu", "precision=fp32", *CACHES["compiled"])
    resting = []
    for _ in range(3):
        llm = load_llm(*words, "generation.max_new_tokens=8")
        assert llm.batch(PROMPTS)
        llm.close()
        del llm
        gc.collect()
        torch.cuda.empty_cache()
        resting.append(torch.cuda.memory_allocated())
    assert resting[2] <= resting[0] + 10**6, resting


# ---------------------------------------------------------------- logits that are not finite
@pytest.mark.parametrize("arguments", [{}, {"temperature": 1.0}, {"num_beams": 2}])
def test_nan_logits_are_an_error_after_which_the_gpu_is_usable(
    load: Callable[..., Any], tmp_path: Path, arguments: dict[str, Any]
) -> None:
    damaged = tiny_models.save_damaged(tmp_path / "damaged", "?")
    llm = load("model=local", f"model.path={damaged}", "device=gpu", "generation.max_new_tokens=6")
    for prompts, which in (([PROMPTS[2]], ""), ([PROMPTS[0], PROMPTS[2]], "for prompt 2 of 2 in the batch ")):
        with pytest.raises(GenerationError, match=f"^the model returned NaN or infinite logits {which}at token 1 "):
            llm.batch(prompts, **arguments)
    assert llm.invoke(PROMPTS[0], **arguments)


# ---------------------------------------------------------------- end to end
def last_words(directory: Path) -> str:
    logs = sorted(directory.rglob("hforch.log"))
    return "".join(f"\n{log}:\n" + "\n".join(log.read_text().splitlines()[-20:]) for log in logs)


def test_a_sweep_over_precisions_and_batch_sizes_is_compared_frozen_and_verified(model: Path, tmp_path: Path) -> None:
    """Run each model in its own process, with the installed extras; torchao initializes CUDA on import."""
    precisions = [name for name in ("bf16", "int8") if find_spec(QUANTIZERS.get(name, "torch"))]
    sweep, recipe = tmp_path / "sweep", tmp_path / "frozen.yaml"
    words = ["model=local", f"model.path={model}", "device=gpu", "inputs=facts", "generation.max_new_tokens=16"]
    swept = [f"precision={','.join(precisions)}", "runtime.batch_size=1,8", f"hydra.sweep.dir={sweep}"]
    done = hforch("-m", *words, *swept)
    assert done.returncode == 0, done.stdout + done.stderr + last_words(sweep)
    jobs = sorted(path for path in sweep.iterdir() if (path / "record.json").is_file())
    records = [read_record(job) for job in jobs]
    assert [record["status"] for record in records] == ["ok"] * 2 * len(precisions)
    assert all(record["memory"]["peak_accelerator_mb"] > 0 for record in records)
    assert all(record["effective"]["device"] == ["cuda:0"] for record in records)
    compared = hforch("compare", str(sweep), "--format", "json")
    assert compared.returncode == 0, compared.stderr
    assert len(json.loads(compared.stdout)["rows"]) == len(jobs)
    frozen = hforch("freeze", str(jobs[-1]), "--output", str(recipe))
    assert frozen.returncode == 0, frozen.stderr
    verified = hforch("verify", str(recipe))
    assert verified.returncode == 0, verified.stdout + verified.stderr
