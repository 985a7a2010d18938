"""Tests of accelerator detection with torch, and of errors for unusable ones, with a fake CUDA."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import fake_cuda
import pytest
from fake_cuda import GIB, Card, FakeCuda

from hforch.backends import pytorch
from hforch.backends.huggingface import torch_device
from hforch.config.compose import job_from_overrides
from hforch.errors import Mistake
from hforch.machine import accelerators


@pytest.fixture
def cuda() -> Iterator[FakeCuda]:
    with FakeCuda().installed() as fake:
        yield fake


def mistake_of(*overrides: str) -> Mistake:
    (found,) = pytorch.check(job_from_overrides(list(overrides)))
    return found


# ---------------------------------------------------------------- available devices
def test_devices_report_name_memory_and_capability(cuda: FakeCuda) -> None:
    cuda.cards = [Card(total=100 * GIB, used_by_others=GIB), Card(capability=(7, 5), name="Tesla T4")]
    assert accelerators.names() == ["cuda:0", "cuda:1"]
    first, second = accelerators.usable()
    assert (first.name, first.model, first.capability) == ("cuda:0", "NVIDIA H200", (9, 0))
    assert first.free_mb == pytest.approx(99 * GIB / 1e6) and first.total_mb == pytest.approx(100 * GIB / 1e6)
    assert second.capability == (7, 5)


def test_a_job_on_a_gpu_initializes_no_other_gpu(cuda: FakeCuda) -> None:
    cuda.cards = [Card(), Card(), Card()]
    assert pytorch.check(job_from_overrides(["device=gpu", "device.index=1"])) == []
    assert set(cuda.looked_at) == {1}
    assert torch_device.device_map(job_from_overrides(["device=gpu", "device.index=1"])) == {"": "cuda:1"}


def test_a_job_on_the_cpu_initializes_no_gpu(cuda: FakeCuda) -> None:
    assert pytorch.check(job_from_overrides(["device=cpu"])) == []
    assert cuda.looked_at == []


# ---------------------------------------------------------------- unusable devices
def test_a_missing_gpu_is_rejected_and_available_devices_are_listed(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = mistake_of("device=gpu", "device.index=9")
    assert (found.path, found.problem) == ("device.index", "GPU 9 does not exist")
    assert found.hint == "available devices: cpu, cuda:0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    hint = str(mistake_of("device=gpu", "device.index=9").hint)
    assert "CUDA_VISIBLE_DEVICES='3' restricts the visible devices" in hint


@pytest.mark.parametrize("value", ["", "-1"])
def test_hidden_gpus_are_reported_with_the_variable_that_hides_them(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    with FakeCuda(cards=[]).installed():
        found = mistake_of("device=gpu")
    assert found.path == "device.kind"
    assert f"torch found no usable GPU: CUDA_VISIBLE_DEVICES='{value}' hides all devices" in found.problem
    assert "unset CUDA_VISIBLE_DEVICES" in str(found.hint) and "use device=cpu, or " in str(found.hint)


def test_an_old_driver_is_reported_with_its_cuda_version_and_torchs() -> None:
    with FakeCuda(refusal=fake_cuda.TOO_OLD).installed():
        found = mistake_of("device=gpu")
    assert "the NVIDIA driver (it supports CUDA 12.4) is too old for this torch, which is built for CUDA 13.0" in (
        found.problem
    )
    assert "update the driver" in str(found.hint) and accelerators.INSTALL in str(found.hint)


def test_a_cpu_build_of_torch_is_reported_with_an_install_command() -> None:
    with FakeCuda(cards=[], version=None).installed():
        found = mistake_of("device=gpu")
    assert "is a CPU build" in found.problem
    assert accelerators.INSTALL in str(found.hint)


def test_a_missing_driver_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with FakeCuda(refusal="Found no NVIDIA driver on your system. Please check that you have one.").installed():
        found = mistake_of("device=gpu")
    assert "Found no NVIDIA driver on your system" in found.problem and "nvidia-smi" in str(found.hint)


@pytest.mark.parametrize(
    ("failure", "hint"),
    [
        (fake_cuda.BUSY, "another process may be using it exclusively"),
        ("CUDA error: uncorrectable ECC error encountered", "nvidia-smi -q -d ECC"),
        ("CUDA error: out of memory", "other processes are using its memory"),
        ("CUDA error: unspecified launch failure", "nvidia-smi shows its state"),
    ],
)
def test_a_failing_gpu_is_reported_before_loading(failure: str, hint: str) -> None:
    with FakeCuda(cards=[Card(), Card(failure=failure)]).installed():
        found = mistake_of("device=gpu", "device.index=1")
    assert found.path == "device.index"
    assert found.problem == f"cuda:1 cannot be used: {failure.splitlines()[0]}"
    assert hint in str(found.hint) and "cuda:0" in str(found.hint)


# ---------------------------------------------------------------- attention
def test_flash_attention_requires_an_nvidia_gpu() -> None:
    found = mistake_of("device=cpu", "model.attn_implementation=flash_attention_2")
    assert found.path == "model.attn_implementation"
    assert "requires an NVIDIA GPU, but this job runs on cpu" in found.problem
    assert "sdpa" in str(found.hint)


def test_flex_attention_requires_a_gpu_and_triton(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "model.attn_implementation=flex_attention"
    assert "this job runs on the CPU" in mistake_of("device=cpu", asked).problem
    monkeypatch.setattr(torch_device, "find_spec", lambda name: None)
    assert "Triton, which is not installed" in mistake_of("device=gpu", asked).problem
    monkeypatch.setattr(torch_device, "find_spec", lambda name: SimpleNamespace(name=name))
    assert pytorch.check(job_from_overrides(["device=gpu", asked])) == []


def test_flash_attention_requires_its_package(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_device, "find_spec", lambda name: None)
    for device in ("device=gpu", "device=auto"):
        found = mistake_of(device, "model.attn_implementation=flash_attention_3", "precision=bf16")
        assert "requires the package flash-attn-3, which is not installed" in found.problem
        assert "kernels from the Hub are not used" in str(found.hint)


def test_a_module_of_another_package_is_not_accepted(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_device, "find_spec", lambda name: SimpleNamespace(name=name))
    found = mistake_of("device=gpu", "model.attn_implementation=flash_attention_2", "precision=bf16")
    assert "the installed module flash_attn belongs to another package" in found.problem


def test_flash_attention_requires_compute_capability_and_16_bits(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_device, "_lacking", lambda module, package: None)
    words = ["device=gpu", "model.attn_implementation=flash_attention_2"]
    assert pytorch.check(job_from_overrides([*words, "precision=bf16"])) == []
    cuda.cards[0].capability = (7, 5)
    found = pytorch.check(job_from_overrides([*words, "precision=fp32"]))
    assert "requires compute capability 8.0, but cuda:0 (NVIDIA H200) has 7.5" in found[0].problem
    assert "does not support precision=fp32" in found[1].problem


# ---------------------------------------------------------------- peaks
def test_peaks_cover_devices_used_since_the_reset(cuda: FakeCuda) -> None:
    cuda.cards = [Card(), Card()]
    assert accelerators.peaks() == []  # nothing is initialized, and the call must not initialize anything
    assert cuda.looked_at == []
    cuda.looked_at.append(1)
    cuda.cards[1].allocate(3 * 10**9)
    cuda.cards[1].free_of(2 * 10**9)
    assert accelerators.peaks() == [{"device": "cuda:1", "allocated_mb": 3000.0, "reserved_mb": 3000.0}]
    accelerators.release()
    accelerators.reset_peaks()
    assert accelerators.peaks() == [{"device": "cuda:1", "allocated_mb": 1000.0, "reserved_mb": 1000.0}]
    assert accelerators.free_mb(1) == pytest.approx((80 * GIB - 10**9) / 1e6)


def test_higher_peaks_takes_the_maximum_per_device() -> None:
    def peak(device: str, allocated: float, reserved: float) -> dict[str, Any]:
        return {"device": device, "allocated_mb": allocated, "reserved_mb": reserved}

    loading, answering = [peak("cuda:0", 5, 9)], [peak("cuda:0", 7, 8), peak("cuda:1", 1, 1)]
    assert accelerators.higher_peaks(loading, answering) == [peak("cuda:0", 7, 9), peak("cuda:1", 1, 1)]


# ---------------------------------------------------------------- placement
def test_placement_joins_consecutive_layers(cuda: FakeCuda) -> None:
    layers = {f"model.layers.{number}": 0 if number < 3 else 1 for number in range(5)}
    rest = {"model.layers.5": "cpu", "model.norm": "cpu", "lm_head": "disk"}
    model = SimpleNamespace(hf_device_map={"model.embed_tokens": 0, **layers, **rest})
    placement = torch_device.placed(model)
    assert placement == {
        "cuda:0": ["model.embed_tokens", "model.layers.0-2"],
        "cuda:1": ["model.layers.3-4"],
        "cpu": ["model.layers.5", "model.norm"],
        "disk": ["lm_head"],
    }
    (remark,) = torch_device.remarks(placement)
    assert "model.layers.5, model.norm on cpu and lm_head on disk" in remark.problem and "slow" in remark.problem
    assert torch_device.devices_of(model) == ["cpu", "cuda:0", "cuda:1", "disk"]


def test_a_model_on_one_device_has_no_placement(cuda: FakeCuda) -> None:
    assert torch_device.placed(SimpleNamespace(hf_device_map={"": 0})) == {}
    assert torch_device.placed(SimpleNamespace()) == {}
    assert torch_device.remarks({"cuda:0": ["a"], "cuda:1": ["b"]}) == ()
