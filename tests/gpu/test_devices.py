"""Tests of devices, memory and running out of memory on a real GPU, with tiny generated models."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from hforch import load_llm
from hforch.config.compose import job_from_overrides
from hforch.errors import ConfigError
from hforch.machine import accelerators
from hforch.records.record_files import read_record, read_samples
from hforch.runs import JobContext
from hforch.runs.model_slot import ModelSlot
from hforch.runs.runner import run_job
from hforch.runs.watcher import NullWatcher

pytestmark = [pytest.mark.gpu, pytest.mark.model]

LONG = "signals of the brain are measured, " * 40
WORDS = ("device=gpu", "prompt=raw", "generation.max_new_tokens=8", "generation.ignore_eos=true", "runtime.warmup=0")
NO_TORCHAO = pytest.mark.skipif(not find_spec("torchao"), reason="torchao is not installed")
PRECISIONS = ["fp32", "bf16", pytest.param("int8", marks=NO_TORCHAO)]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with 170 MB of weights in fp32, whose KV cache takes 64 KB per token."""
    shape = {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 16, "max_position_embeddings": 4096}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 8}
    return tiny_models.save_llama(tmp_path_factory.mktemp("gpu") / "llama", **shape, **heads)


@pytest.fixture
def two_gpus() -> None:
    if len(accelerators.names()) < 2:
        pytest.skip("requires two GPUs")


@pytest.fixture
def only_cuda() -> None:
    if accelerators.kind() != "cuda":
        pytest.skip("requires a CUDA device")


@pytest.fixture
def limited(only_cuda: None) -> Callable[[float], AbstractContextManager[None]]:
    """A context manager that limits the further memory of torch on GPU 0, in bytes."""
    import torch

    @contextmanager
    def limit(size: float) -> Iterator[None]:
        gc.collect()
        torch.cuda.empty_cache()
        total = torch.cuda.mem_get_info(0)[1]
        torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_allocated(0) + size) / total), 0)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, 0)

    return limit


def do(directory: Path, model: Path, *words: str, model_slot: ModelSlot | None = None, code: int = 0) -> Any:
    """Run a job in this process; return its record and its samples."""
    overrides = ["model=local", f"model.path={model}", *WORDS, "runtime.isolation=inline", *words]
    assert (
        run_job(job_from_overrides(overrides), directory, JobContext(tuple(overrides)), NullWatcher(), model_slot)
        == code
    )
    return read_record(directory), list(read_samples(directory))


def hforch(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a new process."""
    command = [sys.executable, "-m", "hforch", *WORDS, *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=os.environ | environment, timeout=300
    )


def prompts(folder: Path, number: int) -> str:
    file = folder / f"{number}.jsonl"
    file.write_text("".join(json.dumps({"text": f"{LONG} {index:04}"}) + "\n" for index in range(number)))
    return f"inputs=file inputs.path={file} prompt.column=text"


# ---------------------------------------------------------------- device selection
def test_every_spelling_of_a_gpu_selects_it(llama: Path) -> None:
    kind = accelerators.kind()
    for word in (f"{kind}:0", str(kind), "0", "gpu", "gpu:0"):
        llm = load_llm("model=local", f"model.path={llama}", f"device={word}", "generation.max_new_tokens=2")
        assert str(llm.engine.model.device) == f"{kind}:0"
        assert llm.invoke("signals")
        llm.close()


def test_a_missing_gpu_is_rejected_and_available_devices_are_listed(llama: Path) -> None:
    with pytest.raises(ConfigError, match="GPU 99 does not exist") as caught:
        load_llm("model=local", f"model.path={llama}", "device=99")
    assert accelerators.names()[0] in str(caught.value)


def test_hidden_gpus_are_reported_with_the_variable_that_hides_them(
    llama: Path, tmp_path: Path, only_cuda: None
) -> None:
    done = hforch(tmp_path, "model=local", f"model.path={llama}", "hydra.run.dir=r", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2, done.stderr
    assert "CUDA_VISIBLE_DEVICES='' hides all devices" in done.stderr
    assert not (tmp_path / "r" / "samples.jsonl").exists()


def test_only_the_second_gpu_is_used(llama: Path, tmp_path: Path, two_gpus: None) -> None:
    record, _ = do(tmp_path, llama, "device=1")
    kind = accelerators.kind()
    assert record["effective"]["device"] == [f"{kind}:1"]
    assert [one["device"] for one in record["memory"]["accelerators"]] == [f"{kind}:1"]


def test_device_map_and_memory_of_two_gpus_are_recorded(llama: Path, tmp_path: Path, two_gpus: None) -> None:
    record, samples = do(tmp_path, llama, "device=auto", "device.device_map=balanced")
    devices = {f"{accelerators.kind()}:{index}" for index in (0, 1)}
    assert devices <= set(record["effective"]["device_map"])
    assert any("model.layers.0-" in part for part in record["effective"]["device_map"][f"{accelerators.kind()}:0"])
    assert devices <= {one["device"] for one in record["memory"]["accelerators"]}
    assert all(sample["error"] is None for sample in samples)


def test_flash_attention_requires_its_package(llama: Path) -> None:
    if find_spec("flash_attn"):
        pytest.skip("flash-attn is installed")
    words = ("device=gpu", "precision=bf16", "model.attn_implementation=flash_attention_2")
    with pytest.raises(ConfigError, match="requires the package flash-attn, which is not installed"):
        load_llm("model=local", f"model.path={llama}", *words)


# ---------------------------------------------------------------- peaks
@pytest.mark.parametrize("precision", PRECISIONS)
def test_memory_peaks_are_per_job_of_a_shared_model(precision: str, llama: Path, tmp_path: Path) -> None:
    model_slot = ModelSlot()
    words = (*prompts(tmp_path, 16).split(), f"precision={precision}")
    peaks = []
    for number, size in enumerate((1, 16, 1)):
        record, _ = do(tmp_path / str(number), llama, *words, f"runtime.batch_size={size}", model_slot=model_slot)
        (device,) = record["memory"]["accelerators"]
        assert device["device"] == accelerators.names()[0]
        assert device["reserved_mb"] >= device["allocated_mb"] > 0
        assert record["memory"]["peak_accelerator_mb"] == device["allocated_mb"]
        peaks.append(device["allocated_mb"])
    model_slot.drop()
    assert peaks[1] > peaks[0] + 10  # 16 prompts have a larger KV cache than one
    assert peaks[2] == pytest.approx(peaks[0], rel=0.2)


def test_dropping_the_model_frees_its_memory(llama: Path, tmp_path: Path, only_cuda: None) -> None:
    import torch

    do(tmp_path / "first", llama, "precision=fp32")  # cuBLAS allocates its workspace, and keeps it
    gc.collect()
    before = torch.cuda.memory_allocated(0)
    model_slot = ModelSlot()
    do(tmp_path / "second", llama, "precision=fp32", model_slot=model_slot)
    assert torch.cuda.memory_allocated(0) > before
    model_slot.drop()
    assert torch.cuda.memory_allocated(0) <= before + 10**6


# ---------------------------------------------------------------- out of memory
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_only_a_too_large_batch_fails_and_its_memory_is_freed(
    precision: str, llama: Path, tmp_path: Path, limited: Callable[[float], AbstractContextManager[None]]
) -> None:
    import torch

    model_slot = ModelSlot()
    words = (*prompts(tmp_path, 66).split(), f"precision={precision}", "runtime.memory_check=off")
    do(tmp_path / "small", llama, *words, "runtime.batch_size=2", model_slot=model_slot)
    resting = torch.cuda.memory_allocated(0)
    with limited(4e8):
        record, samples = do(tmp_path / "large", llama, *words, "runtime.batch_size=64", model_slot=model_slot, code=1)
        failed = [sample for sample in samples if sample["error"]]
        assert [len(failed), len(samples)] == [64, 66]
        message = failed[0]["error"]["message"]
        assert message.startswith("out of memory on cuda:0: requested ")
        assert "use a smaller runtime.batch_size (" in message
        assert record["status"] == "failed" and model_slot.key
        assert torch.cuda.memory_allocated(0) <= resting + 10**7
        record, _ = do(tmp_path / "again", llama, *words, "runtime.batch_size=2", model_slot=model_slot)
        assert record["shared_load"]
    model_slot.drop()


def test_a_too_large_model_fails_its_job_but_not_the_next(
    llama: Path, tmp_path: Path, limited: Callable[[float], AbstractContextManager[None]]
) -> None:
    import torch

    model_slot = ModelSlot()
    with limited(1e7):
        record, _ = do(
            tmp_path / "large", llama, "precision=fp32", "runtime.memory_check=off", model_slot=model_slot, code=1
        )
    assert record["error"]["type"] == "OutOfMemory"
    assert record["error"]["message"].startswith("out of memory on cuda:0")
    assert "precision=bf16" in record["error"]["message"]
    before = torch.cuda.memory_allocated(0)
    record, _ = do(tmp_path / "then", llama, "precision=bf16", model_slot=model_slot)
    assert record["status"] == "ok"
    model_slot.drop()
    assert torch.cuda.memory_allocated(0) <= before + 10**6


# ---------------------------------------------------------------- memory_check
@pytest.fixture
def huge(tmp_path: Path, llama: Path) -> Path:
    """A checkpoint whose weights, in a sparse file, are larger than the memory of any GPU."""
    folder = tmp_path / "huge"
    folder.mkdir()
    for file in llama.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    tiny_models.save_sparse_weights(folder, 10**12)
    return folder


def test_a_model_larger_than_free_gpu_memory_is_rejected_before_loading(huge: Path, tmp_path: Path) -> None:
    words = ("model=local", f"model.path={huge}", "precision=fp32")
    single = hforch(tmp_path, *words, "hydra.run.dir=r")
    swept = hforch(tmp_path, "-m", *words, "runtime.seed=1,2", "hydra.sweep.dir=s")
    dry = hforch(tmp_path, "-m", "--dry-run", *words, "runtime.seed=1,2", "hydra.sweep.dir=s")
    for done in (single, swept, dry):
        assert done.returncode == 2, done.stderr
        assert "4000.0 GB of weights" in done.stderr and f"on {accelerators.names()[0]}" in done.stderr
    assert not (tmp_path / "s").exists()


def test_gpu_memory_of_other_processes_is_not_free(llama: Path, tmp_path: Path, only_cuda: None) -> None:
    """This process leaves 2 GB of the GPU free; a KV cache of 2.5 GB does not fit, and a smaller batch is suggested."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    rest = torch.empty(torch.cuda.mem_get_info(0)[0] - 2 * 10**9, dtype=torch.uint8, device="cuda:0")
    try:
        file = prompts(tmp_path, 128).split()
        words = ("model=local", f"model.path={llama}", *file, "precision=fp32", "runtime.batch_size=128")
        done = hforch(tmp_path, *words, "hydra.run.dir=r")
        assert done.returncode == 2, done.stderr
        assert "GB of KV cache" in done.stderr and "GB free on cuda:0 (of" in done.stderr
        assert "runtime.batch_size=" in done.stderr and "is estimated to fit" in done.stderr
    finally:
        del rest
        torch.cuda.empty_cache()
