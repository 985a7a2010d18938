"""Accelerators out of memory while loading, generating and scoring, with a fake CUDA and models on the CPU."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import fake_cuda
import pytest
from fake_cuda import GIB, Card, FakeCuda

from hforch.backends.huggingface import torch_device
from hforch.config.compose import job_from_overrides
from hforch.errors import BackendError, GenerationError, OutOfMemory
from hforch.machine.out_of_memory import is_out_of_memory, shortage_of, translating
from hforch.records.record_files import read_record, read_samples
from hforch.runs import JobContext
from hforch.runs.model_slot import ModelSlot
from hforch.runs.runner import run_job
from hforch.runs.watcher import NullWatcher

WORDS = (
    *("precision=fp32", "inputs=numbers_in_french", "generation.max_new_tokens=4"),
    *("runtime.warmup=0", "runtime.isolation=inline"),
)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A fake CUDA with one GPU, whose memory the test sets; models are loaded to the CPU."""
    monkeypatch.setattr(torch_device, "device_map", lambda job: {"": "cpu"})
    with FakeCuda([Card(total=100 * 10**9, used_by_others=30 * 10**9)]).installed() as fake:
        yield fake


@pytest.fixture
def generating(monkeypatch: pytest.MonkeyPatch, cuda: FakeCuda) -> Callable[[int], list[Any]]:
    """A function that makes GPT-2 run out of memory above a batch size; it returns the failed attempts' tensors."""

    def limit(rows: int) -> list[Any]:
        import torch
        from transformers import GPT2LMHeadModel

        real, attempts = GPT2LMHeadModel.forward, []

        @wraps(real)  # transformers passes the arguments that the signature names
        def forward(self: Any, input_ids: Any = None, **named: Any) -> Any:
            if len(input_ids) > rows:
                activations = torch.zeros(1000)
                attempts.append(weakref.ref(activations))
                cuda.cards[0].fail(0, 2_254_857_830)
            return real(self, input_ids=input_ids, **named)

        monkeypatch.setattr(GPT2LMHeadModel, "forward", forward)
        return attempts

    return limit


def do(directory: Path, model: Path, *words: str, held: ModelSlot | None = None, code: int = 0, **given: Any) -> Any:
    job = job_from_overrides(["model=local", f"model.path={model}", "device=gpu", *WORDS, *words])
    assert run_job(job, directory, JobContext(**given), NullWatcher(), held) == code
    return read_record(directory), list(read_samples(directory))


# ---------------------------------------------------------------- parsing errors
def test_an_error_of_torch_is_parsed() -> None:
    import torch

    card = Card(total=140 * GIB, used_by_others=10 * GIB, reserved=129 * GIB)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        card.fail(1, 2 * GIB)
    said = shortage_of(caught.value)
    assert said.device == "cuda:1"
    assert str(said) == (
        "out of memory on cuda:1: requested 2.1 GB, 1.1 of 150.3 GB free (other processes are using 10.7 GB)"
    )


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "out of memory on cuda"),
        ("CUDA error: out of memory\nCUDA kernel errors might be", "out of memory on cuda"),
        (
            "XPU out of memory. Tried to allocate 512.00 MiB. GPU 0 has a total capacity of 15.00 GiB.",
            "xpu:0: requested",
        ),
        ("[GPU] CL_OUT_OF_RESOURCES", "out of memory on the GPU"),
        ("[GPU] out of GPU resources", "out of memory on the GPU"),
        ("[GPU] Exceeded max size of memory object allocation: requested 5 bytes", "out of memory on the GPU"),
    ],
)
def test_errors_of_libraries_are_recognized(message: str, words: str) -> None:
    error = RuntimeError(message)
    assert is_out_of_memory(error)
    assert words in str(shortage_of(error))


def test_other_errors_are_not_translated() -> None:
    error = RuntimeError("CUDA error: device-side assert triggered")
    assert not is_out_of_memory(error)
    with pytest.raises(RuntimeError) as caught, translating("buy more"):
        raise error
    assert caught.value is error


def test_the_cause_of_an_error_is_recognized() -> None:
    failed = ValueError("the layer failed")
    failed.__cause__ = RuntimeError("CUDA out of memory")
    with pytest.raises(OutOfMemory, match="out of memory on cuda; buy more") as caught, translating("buy more"):
        raise failed
    assert isinstance(caught.value, BackendError) and isinstance(caught.value, GenerationError)


# ---------------------------------------------------------------- generating
@pytest.mark.model
def test_a_batch_that_is_too_large_fails_and_smaller_ones_succeed(
    tmp_path: Path, tiny_gpt2: Path, cuda: FakeCuda, generating: Callable[[int], list[Any]]
) -> None:
    attempts = generating(2)
    held = ModelSlot()
    record, samples = do(tmp_path / "4", tiny_gpt2, "runtime.batch_size=3", held=held, code=1)
    failed = [sample for sample in samples if sample["error"]]
    assert [sample["batch"]["size"] for sample in failed] == [3, 3, 3]
    assert len(samples) == 4 and record["status"] == "failed"
    for sample in failed:
        assert sample["error"]["type"] == "OutOfMemory"
        assert sample["error"]["message"].startswith(
            "out of memory on cuda:0: requested 2.3 GB, 70.0 of 100.0 GB free (other processes are using 30.0 GB); "
            "use a smaller runtime.batch_size (such as 1), a lower precision"
        )
    assert attempts and all(attempt() is None for attempt in attempts), "the failed attempt's tensors are still alive"
    assert cuda.emptied


@pytest.mark.model
def test_a_model_that_ran_out_of_memory_is_reused_by_the_next_job(
    tmp_path: Path, tiny_gpt2: Path, generating: Callable[[int], list[Any]]
) -> None:
    generating(2)
    held = ModelSlot()
    do(tmp_path / "4", tiny_gpt2, "runtime.batch_size=4", held=held, code=1)
    loaded = held.loaded
    assert held.key and loaded is not None
    record, samples = do(tmp_path / "2", tiny_gpt2, "runtime.batch_size=2", held=held)
    assert record["shared_load"] and held.loaded is loaded
    assert all(sample["error"] is None for sample in samples)


@pytest.mark.model
def test_static_caches_are_dropped_after_a_batch_that_is_too_large(
    tmp_path: Path, tiny_gpt2: Path, generating: Callable[[int], list[Any]]
) -> None:
    generating(2)
    held = ModelSlot()
    words = ("backend.kv_cache=static", "backend.compile=false")
    _, samples = do(tmp_path, tiny_gpt2, "runtime.batch_size=3", *words, held=held, code=1)
    errors = [sample["error"] and sample["error"]["type"] for sample in samples]
    assert errors == ["OutOfMemory"] * 3 + [None]  # the batch of one is not padded to three rows
    assert held.loaded is not None
    assert [rows for rows, _ in held.loaded.engine.kv_caches._caches] == [1]  # type: ignore[attr-defined]


@pytest.mark.model
def test_the_estimated_batch_size_that_fits_is_named(
    tmp_path: Path, tiny_gpt2: Path, cuda: FakeCuda, generating: Callable[[int], list[Any]]
) -> None:
    """A GPT-2 with 2 layers of size 32 has a KV cache of 512 bytes per token, and about 40 tokens per sequence."""
    generating(1)
    cuda.cards[0].total = cuda.cards[0].used_by_others + 60_000
    _, samples = do(
        tmp_path,
        tiny_gpt2,
        "prompt=step_by_step",
        "runtime.batch_size=4",
        "runtime.memory_check=off",
        code=1,
    )
    assert "use a smaller runtime.batch_size (2 is estimated to fit)" in samples[0]["error"]["message"]


# ---------------------------------------------------------------- loading
@pytest.mark.model
def test_a_model_that_runs_out_of_memory_while_loading_fails_only_its_job(
    tmp_path: Path, tiny_gpt2: Path, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    held = ModelSlot()
    with monkeypatch.context() as patch:
        patch.setattr(
            AutoModelForCausalLM, "from_pretrained", lambda *paths, **named: cuda.cards[0].fail(0, 20 * 10**9)
        )
        record, _ = do(tmp_path / "full", tiny_gpt2, held=held, code=1)
    assert record["error"]["type"] == "OutOfMemory"
    assert record["error"]["message"] == (
        "out of memory on cuda:0: requested 20.0 GB, 70.0 of 100.0 GB free (other processes are using 30.0 GB); use "
        "precision=bf16 or precision=int8 or precision=int4, a smaller model, or device=auto, which distributes it "
        "over all GPUs and the CPU"
    )
    assert not held.key and cuda.emptied
    record, _ = do(tmp_path / "then", tiny_gpt2, held=held)
    assert record["status"] == "ok"


# ---------------------------------------------------------------- scoring
@pytest.mark.model
def test_scoring_that_runs_out_of_memory_keeps_the_answers(
    tmp_path: Path, tiny_gpt2: Path, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hforch.generation.logit_reader import TorchLogitReader

    monkeypatch.setattr(TorchLogitReader, "read", lambda *asked: iter([cuda.cards[0].fail(0, 10**9)]))
    words = ("scoring=baseline", "scoring.baseline.of=null")
    record, samples = do(tmp_path, tiny_gpt2, *words, code=1, baseline=tmp_path)
    assert all(sample["error"] is None for sample in samples)
    assert record["error"]["type"] == "ScoringError"
    assert "use a smaller scoring.batch_size or scoring.chunk" in record["error"]["message"]
    assert "out of memory on cuda:0" in record["scores"]["against_baseline"]["absent"]["kl_mean"]


# ---------------------------------------------------------------- peaks
@pytest.mark.model
def test_peaks_are_per_job_and_include_loading_for_jobs_that_share_the_model(
    tmp_path: Path, tiny_gpt2: Path, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, GPT2LMHeadModel

    card, real, load = cuda.cards[0], GPT2LMHeadModel.forward, AutoModelForCausalLM.from_pretrained
    taken = {"forward": 40 * 10**6}

    def loading(*paths: Any, **named: Any) -> Any:
        card.allocate(100 * 10**6)
        card.free_of(70 * 10**6)
        return load(*paths, **named)

    def forward(*given: Any, **named: Any) -> Any:
        card.allocate(taken["forward"])
        card.free_of(taken["forward"])
        return real(*given, **named)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", loading)
    monkeypatch.setattr(GPT2LMHeadModel, "forward", forward)
    held = ModelSlot()
    first, _ = do(tmp_path / "1", tiny_gpt2, held=held)
    assert first["memory"]["accelerators"] == [{"device": "cuda:0", "allocated_mb": 100.0, "reserved_mb": 100.0}]
    taken["forward"] = 200 * 10**6
    second, _ = do(tmp_path / "2", tiny_gpt2, "runtime.seed=1", held=held)
    assert second["memory"]["peak_accelerator_mb"] == 230.0
    taken["forward"] = 0
    third, _ = do(tmp_path / "3", tiny_gpt2, "runtime.seed=2", held=held)
    assert third["shared_load"] and third["memory"]["peak_accelerator_mb"] == 100.0


@pytest.mark.model
def test_the_allocator_cache_is_emptied_only_if_the_batch_size_changes(
    tmp_path: Path, tiny_gpt2: Path, cuda: FakeCuda
) -> None:
    held, emptied = ModelSlot(), []
    for number, size in enumerate((2, 2, 4)):
        do(tmp_path / str(number), tiny_gpt2, f"runtime.batch_size={size}", held=held)
        emptied.append(cuda.emptied)
    assert emptied[1] == emptied[0] and emptied[2] > emptied[1]


@pytest.mark.model
def test_a_job_on_the_cpu_has_no_accelerator_peak(tmp_path: Path, tiny_gpt2: Path, cuda: FakeCuda) -> None:
    record, _ = do(tmp_path, tiny_gpt2, "device=cpu")
    assert "accelerators" not in record["memory"]
    assert "no accelerator" in record["memory"]["absent"]["peak_accelerator_mb"]


# ---------------------------------------------------------------- pickling
def test_the_error_can_be_sent_to_another_process() -> None:
    import pickle

    error = OutOfMemory("out of memory on cuda:0", "use less")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "out of memory on cuda:0; use less"
    assert (again.shortage, again.remedy) == (error.shortage, error.remedy)


def test_fake_gpus_raise_the_messages_of_torch() -> None:
    card = Card(total=80 * GIB, reserved=79 * GIB)
    assert "of which 1.00 GiB is free" in fake_cuda.out_of_memory(card, 0, GIB)
