"""The description of a machine's GPUs in records, and that describing a machine never fails."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from fake_nvml import NO_PERMISSION, NOT_SUPPORTED, FakeCard, fake_torch, install

from hforch.machine import environment, nvidia_cards, nvml
from hforch.machine.environment import describe_environment


def test_a_gpu_is_described_with_a_hash_of_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard()
    install(monkeypatch, [card])
    (found,) = nvidia_cards.accelerators()
    assert len(found.pop("id")) == 8
    assert found == {
        "device": "cuda:0",
        "name": "NVIDIA H200",
        "driver": "580.95.05",
        "cuda_driver": "13.0",
        "compute_capability": "9.0",
        "memory_mb": 150_000,
        "power_limit_w": 700.0,
        "persistence_mode": True,
        "ecc": True,
        "mig": False,
    }
    assert card.uuid.partition("-")[2] not in json.dumps(describe_environment())


def test_two_gpus_have_different_identities(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard(uuid="GPU-1"), FakeCard(uuid="GPU-2")])
    one, other = nvidia_cards.accelerators()
    assert one["id"] != other["id"]
    assert (one["device"], other["device"]) == ("cuda:0", "cuda:1")


def test_unreadable_properties_are_absent_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard().fails("nvmlDeviceGetEccMode", NOT_SUPPORTED).fails("nvmlDeviceGetUUID", NO_PERMISSION)
    install(monkeypatch, [card])
    (found,) = nvidia_cards.accelerators()
    assert found["name"] == "NVIDIA H200"
    assert found["absent"] == {"ecc": "not supported by this GPU or driver", "id": "no permission"}


def test_without_nvml_torch_describes_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()])
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvidia_cards.accelerators() == [
        {
            "device": "cuda:0",
            "name": "NVIDIA H200",
            "memory_mb": 150_000,
            "compute_capability": "9.0",
            "absent": {"nvml": nvml.NO_PACKAGE},
        }
    ]


def test_a_job_on_the_cpu_does_not_initialise_cuda_for_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = fake_torch([FakeCard()], initialized=False)
    install(monkeypatch, [FakeCard()], torch)
    assert [one["name"] for one in nvidia_cards.accelerators()] == ["NVIDIA H200"]
    assert torch.described == 0


@pytest.mark.parametrize("torch", [fake_torch([]), None], ids=["torch without CUDA", "no torch"])
def test_without_a_gpu_there_are_no_accelerators(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [], torch, fails_to_start=9)
    if torch is None:
        monkeypatch.delitem(sys.modules, "torch")
    assert nvidia_cards.accelerators() == []


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (0, []),
        (0x5, ["idle", "power limit"]),
        (0x48, ["hardware slowdown", "thermal slowdown (hardware)"]),
        (0x1000, ["unknown reason 0x1000"]),
    ],
)
def test_clock_event_reasons_are_named(bits: int, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(events=[bits])
    install(monkeypatch, [card])
    expected = {"sm_mhz": 1980, "memory_mhz": 3201, "temperature_c": 45, "clocks_limited_by": said}
    assert nvidia_cards.state(card) == expected


def test_an_older_driver_is_queried_by_the_older_function_name(monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(events=[0x80]).fails("nvmlDeviceGetCurrentClocksEventReasons", 13)
    install(monkeypatch, [card])
    assert nvidia_cards.state(card)["clocks_limited_by"] == ["power brake"]


@pytest.mark.parametrize(
    ("devices", "numbers"),
    [
        (["cuda:0"], [0]),
        (["cuda:1", "cuda:0", "cpu"], [0, 1]),
        (["0", "1", "disk"], [0, 1]),
        (["cuda"], [0]),
        (["cpu"], []),
        (["none"], []),
        (["xpu:0"], []),
        (["GPU.1"], []),
        ([], []),
    ],
)
def test_the_cuda_devices_among_those_of_a_job(devices: list[str], numbers: list[int]) -> None:
    assert nvidia_cards.cuda_numbers(devices) == numbers


# ---------------------------------------------------------------- describing never fails
PARTS = ("packages", "python", "os", "cpu", "memory_mb", "accelerators", "git")


def test_parts_are_complete() -> None:
    assert tuple(environment._parts()) == PARTS
    assert set(describe_environment()) == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_fails_is_absent_and_the_others_exist(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("CUDA error: out of order\nand pages more")

    parts = environment._parts()
    monkeypatch.setattr(environment, "_parts", lambda libraries: parts | {part: broken})
    found = describe_environment()
    assert found["absent"] == {part: "RuntimeError: CUDA error: out of order"}
    assert set(found) == {*PARTS, "absent"} - {part}


def test_a_broken_torch_does_not_hide_the_error_of_a_job(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from hforch.backends import fake
    from hforch.config.compose import job_from_overrides
    from hforch.errors import BackendError
    from hforch.records.record_files import read_record
    from hforch.runs import JobContext, run
    from hforch.runs.watcher import NullWatcher

    def broken(*_: object) -> Any:
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess")

    def load(*_: object) -> Any:
        raise BackendError("the first error")

    torch = fake_torch([FakeCard()])
    torch.cuda.is_initialized = broken
    install(monkeypatch, [FakeCard()], torch)
    monkeypatch.setattr(fake, "load", load)
    job = job_from_overrides(["backend=fake", "runtime.isolation=inline"])
    assert run(job, tmp_path, JobContext(), NullWatcher()) == 1
    record = read_record(tmp_path)
    assert record["error"]["message"] == "the first error"
    assert "forked subprocess" in record["environment"]["absent"]["accelerators"]
