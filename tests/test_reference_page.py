"""Tests of every code block of LangChain's page on local Hugging Face pipelines, with hforch's configuration.

The page uses gpt2 and bloom-1b7 from the Hub; the tests use tiny models of the same architectures in local directories,
and the default model if the answer must make sense.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.prompts import PromptTemplate

from hforch import HforchPipeline, load_chain, load_llm

PROMPT = PromptTemplate.from_template("""Question: {question}

Answer: Let's think step by step.""")
QUESTION = "What is electroencephalography?"


def local(folder: Path) -> tuple[str, str]:
    return ("model=local", f"model.path={folder}")


@pytest.fixture(scope="module")
def gpt2(tiny_gpt2: Path) -> Any:
    llm = load_llm(*local(tiny_gpt2), "generation.max_new_tokens=10")
    yield llm
    llm.close()


def usage(llm: Any, prompt: str, **more: Any) -> dict[str, int]:
    return dict(llm.generate([prompt], **more).llm_output["token_usage"])


# ---------------------------------------------------------------- model loading
def test_load_by_id_from_the_hub_cache(tiny_gpt2: Path, tmp_path: Path) -> None:
    """from_model_id(model_id="gpt2", pipeline_kwargs={"max_new_tokens": 10}), with the files in the Hub's cache."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--gpt2"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in tiny_gpt2.iterdir():
        (snapshot / file.name).symlink_to(file)
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HFORCH_CACHE": str(tmp_path / "own")}
    words = ["model=gpt2", "generation.max_new_tokens=10", f"hydra.run.dir={tmp_path / 'run'}"]
    command = [sys.executable, "-m", "hforch", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    from hforch.records.record_files import read_record, read_samples

    assert read_record(tmp_path / "run")["model"]["commit"] == commit
    (sample,) = read_samples(tmp_path / "run")
    assert sample["output_tokens"] == 10


def test_wrapping_an_existing_pipeline(tiny_gpt2: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2)
    model = AutoModelForCausalLM.from_pretrained(tiny_gpt2)
    pipe = pipeline("text-generation", model=model, tokenizer=tokenizer, max_new_tokens=10)
    hf = HforchPipeline(pipeline=pipe)
    assert usage(hf, "Once upon a time")["completion_tokens"] == 10
    assert hf.invoke("Once upon a time") == load_llm(*local(tiny_gpt2)).invoke("Once upon a time", max_new_tokens=10)


# ---------------------------------------------------------------- chains
def test_a_chain_of_prompt_and_model(gpt2: Any) -> None:
    chain = PROMPT | gpt2
    answer = chain.invoke({"question": QUESTION})
    assert answer == gpt2.invoke(f"Question: {QUESTION}\n\nAnswer: Let's think step by step.")
    assert QUESTION not in answer


def test_skip_prompt_bound_to_the_model(gpt2: Any) -> None:
    with_prompt = (PROMPT | gpt2.bind(skip_prompt=False)).invoke({"question": QUESTION})
    without = (PROMPT | gpt2.bind(skip_prompt=True)).invoke({"question": QUESTION})
    assert with_prompt == f"Question: {QUESTION}\n\nAnswer: Let's think step by step.{without}"


def test_streaming(gpt2: Any) -> None:
    chain = PROMPT | gpt2.bind(skip_prompt=True)
    chunks = list(chain.stream(QUESTION))
    assert len(chunks) > 1
    assert "".join(chunks) == chain.invoke({"question": QUESTION})


# ---------------------------------------------------------------- GPU
@pytest.mark.gpu
def test_a_model_on_gpu_0(tiny_gpt2: Path) -> None:
    """device=0"""
    chain = load_chain(*local(tiny_gpt2), "device=gpu", "device.index=0", "generation.max_new_tokens=10")
    llm = chain.last  # type: ignore[attr-defined]
    assert llm.engine.model.device.type != "cpu"
    assert usage(llm, "Once upon a time")["completion_tokens"] == 10
    assert chain.invoke({"question": QUESTION}) is not None


@pytest.mark.gpu
def test_gpu_memory_is_recorded(tiny_gpt2: Path, tmp_path: Path) -> None:
    from hforch.config.compose import job_from_overrides
    from hforch.records.record_files import read_record
    from hforch.runs import JobContext, run
    from hforch.runs.watcher import NullWatcher

    overrides = [*local(tiny_gpt2), "device=gpu", "runtime.isolation=inline"]
    assert run(job_from_overrides(overrides), tmp_path, JobContext(tuple(overrides)), NullWatcher()) == 0
    record = read_record(tmp_path)
    assert record["memory"]["peak_accelerator_mb"] > 0
    assert record["environment"]["accelerators"]


def test_device_map_auto(tiny_gpt2: Path) -> None:
    """device_map="auto": accelerate chooses; without a GPU, it chooses the CPU."""
    llm = load_llm(*local(tiny_gpt2), "device=auto", "generation.max_new_tokens=10")
    assert llm.engine.identity["device"]
    assert usage(llm, "Once upon a time")["completion_tokens"] == 10


def batch_of_four_with_stop(chain: Any) -> None:
    questions = [{"question": f"What is the number {i} in french?"} for i in range(4)]
    answers = chain.batch(questions)
    assert len(answers) == 4
    assert all("\n\n" not in answer for answer in answers)
    assert answers == [chain.invoke(question) for question in questions]


PAGE_BATCH = ("runtime.batch_size=2", "generation.temperature=0", "generation.max_length=64", "stop=blank_line")


def test_a_batch_of_four_with_a_stop_sequence_on_bloom(tiny_bloom: Path) -> None:
    """batch_size=2, model_kwargs={"temperature": 0, "max_length": 64}, bind(stop=["\\n\\n"])"""
    llm = load_llm(*local(tiny_bloom), *PAGE_BATCH[:-1], "generation.max_new_tokens=null")
    batch_of_four_with_stop(PROMPT | llm.bind(stop=["\n\n"]))
    assert usage(llm, "Once upon a time")["total_tokens"] == 64


@pytest.mark.slow
def test_the_same_batch_on_the_default_model(load: Callable[..., Any]) -> None:
    llm = load("backend=pytorch", "precision=fp32", "ov_config=accuracy", "generation.max_new_tokens=16")
    chain = PROMPT | llm.bind(stop=["\n\n"], temperature=0, max_length=64, batch_size=2)
    batch_of_four_with_stop(chain)


@pytest.mark.gpu
def test_the_same_batch_on_gpu_0(tiny_bloom: Path) -> None:
    batch_of_four_with_stop(load_chain(*local(tiny_bloom), *PAGE_BATCH, "device=gpu"))


# ---------------------------------------------------------------- OpenVINO
@pytest.fixture(scope="module")
def ov_model_dir(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """optimum-cli export openvino --model gpt2 [--weight-format int8|int4] ov_model_dir"""
    from hforch.commands.export import main

    folders = {}
    for precision in ("auto", "int8", "int4"):
        folders[precision] = tmp_path_factory.mktemp("ov") / precision
        # The tiny model's layers are 32 wide, which limits the group size of int4 weights.
        size = ["precision.group_size=32"] if precision == "int4" else []
        words = [*local(tiny_gpt2), f"precision={precision}", *size]
        assert main(["--output", str(folders[precision]), *words]) == 0
    return folders


def test_the_openvino_backend_with_an_ov_config(tiny_gpt2: Path) -> None:
    """backend="openvino", ov_config={"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "CACHE_DIR": ""}"""
    options = ("backend=openvino", "ov_config=latency", "generation.max_new_tokens=10")
    llm = load_llm(*local(tiny_gpt2), *options)
    effective = llm.engine.identity["ov_config"]
    assert effective["PERFORMANCE_HINT"] == "LATENCY"
    assert str(effective["NUM_STREAMS"]) == "1"
    assert usage(PROMPT and llm, "Once upon a time")["completion_tokens"] == 10


def test_an_exported_folder(ov_model_dir: dict[str, Path], tiny_gpt2: Path) -> None:
    options = ("backend=openvino", "precision=auto", "ov_config=accuracy", "generation.max_new_tokens=10")
    llm = load_llm(*local(ov_model_dir["auto"]), *options)
    assert (PROMPT | llm).invoke({"question": QUESTION})
    assert llm.engine.identity["precision"]["weights"] == "fp16"


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_an_exported_folder_with_compressed_weights(ov_model_dir: dict[str, Path], precision: str) -> None:
    folder = local(ov_model_dir[precision])
    for asked in ("auto", precision):
        llm = load_llm(*folder, "backend=openvino", f"precision={asked}", "generation.max_new_tokens=10")
        assert llm.engine.identity["precision"]["weights"] == precision
        assert usage(llm, "Once upon a time")["completion_tokens"] == 10


def test_an_existing_ir_is_not_used_for_another_precision(ov_model_dir: dict[str, Path]) -> None:
    from hforch.errors import ConfigError

    with pytest.raises(ConfigError, match="int8 weights, which cannot be converted"):
        load_llm(*local(ov_model_dir["int8"]), "backend=openvino", "precision=int4")
    with pytest.raises(ConfigError, match="use backend=openvino"):
        load_llm(*local(ov_model_dir["int8"]), "backend=pytorch")


@pytest.mark.slow
def test_a_kv_cache_of_8_bits_with_dynamic_quantization(load: Callable[..., Any]) -> None:
    """ov_config={"KV_CACHE_PRECISION": "u8", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "32", ...}"""
    llm = load("backend=openvino", "precision=int8", "ov_config=kv_u8", "generation.max_new_tokens=10")
    effective = llm.engine.identity["ov_config"]
    assert effective["KV_CACHE_PRECISION"] == "u8"
    assert str(effective["DYNAMIC_QUANTIZATION_GROUP_SIZE"]) == "32"
    assert "Paris" in llm.invoke("The capital of France is")
