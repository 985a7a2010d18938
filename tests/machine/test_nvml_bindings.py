"""The real pynvml with a fake of NVIDIA's C library: its functions return and raise what hforch expects."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_nvml import FakeCard, fake_torch

from hforch.commands._nvidia import nvidia, rows
from hforch.machine import nvidia_cards, nvml
from hforch.machine.nvidia_meter import CardMeter

pynvml = pytest.importorskip("pynvml")

SUCCESS, NOT_SUPPORTED, NOT_FOUND, INSUFFICIENT_SIZE = 0, 3, 6, 7
OTHER = 1_000_000_000
UUID = b"GPU-11111111-2222-3333-4444-555555555555"


class Library:
    """A fake libnvidia-ml.so with one GPU; functions that it does not define return NOT_SUPPORTED.

    As in C, results are written to pointers of the caller, and the return value is an error code.
    """

    def __init__(self) -> None:
        self.processes: list[tuple[int, int]] = []
        self.computing: list[int] = []
        self.events = 0
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., int]:
        if not name.startswith("nvml"):
            raise AttributeError(name)
        return lambda *_: NOT_SUPPORTED

    def nvmlInitWithFlags(self, flags: int) -> int:
        self.calls.append("init")
        return SUCCESS

    def nvmlShutdown(self) -> int:
        self.calls.append("shutdown")
        return SUCCESS

    def nvmlErrorString(self, code: int) -> bytes:
        return b"as the library has it"

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        return put(count, 1)

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        return SUCCESS

    def nvmlDeviceGetHandleByUUID(self, uuid: Any, handle: Any) -> int:
        return SUCCESS if uuid.value == UUID else NOT_FOUND

    def nvmlDeviceIsMigDeviceHandle(self, handle: Any, answer: Any) -> int:
        return put(answer, 0)

    def nvmlDeviceGetMigMode(self, handle: Any, now: Any, later: Any) -> int:
        return put(now, 0) or put(later, 0)

    def nvmlDeviceGetName(self, handle: Any, text: Any, size: Any) -> int:
        text.value = b"NVIDIA H200"
        return SUCCESS

    def nvmlDeviceGetUUID(self, handle: Any, text: Any, size: Any) -> int:
        text.value = UUID
        return SUCCESS

    def nvmlSystemGetDriverVersion(self, text: Any, size: Any) -> int:
        text.value = b"580.95.05"
        return SUCCESS

    def nvmlSystemGetCudaDriverVersion_v2(self, version: Any) -> int:
        return put(version, 13000)

    def nvmlDeviceGetCudaComputeCapability(self, handle: Any, major: Any, minor: Any) -> int:
        return put(major, 9) or put(minor, 0)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:
        memory._obj.total = 150_000_000_000
        return SUCCESS

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, limit: Any) -> int:
        return put(limit, 700_000)

    def nvmlDeviceGetPersistenceMode(self, handle: Any, mode: Any) -> int:
        return put(mode, 1)

    def nvmlDeviceGetClockInfo(self, handle: Any, kind: Any, clock: Any) -> int:
        return put(clock, {1: 1980, 2: 3201}[kind.value])

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: Any, temperature: Any) -> int:
        assert sensor.value == 0
        return put(temperature, 45)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Any, reasons: Any) -> int:
        return put(reasons, self.events)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, energy: Any) -> int:
        return put(energy, int(time.perf_counter() * 500e3))

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any, count: Any, found: Any) -> int:
        if not self.processes:
            return put(count, 0)
        if found is None:
            return put(count, len(self.processes)) or INSUFFICIENT_SIZE
        for place, (pid, memory) in enumerate(self.processes):
            found[place].pid, found[place].usedGpuMemory = pid, memory
        return put(count, len(self.processes))

    def nvmlDeviceGetProcessUtilization(self, handle: Any, found: Any, count: Any, since: Any) -> int:
        if not self.computing:
            return NOT_FOUND
        if found is None:
            return put(count, len(self.computing)) or INSUFFICIENT_SIZE
        for place, pid in enumerate(self.computing):
            found[place].pid, found[place].timeStamp, found[place].smUtil = pid, since.value + 1, 90
        return put(count, len(self.computing))


def put(reference: Any, value: int) -> int:
    reference._obj.value = value
    return SUCCESS


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    import sys

    found = Library()
    monkeypatch.setattr(pynvml, "nvmlLib", found)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(nvml, "NODES", (Path("/dev/null"),))
    monkeypatch.setattr(nvml, "_process", None)
    monkeypatch.setattr(nvml, "_failed", None)
    monkeypatch.setitem(sys.modules, "torch", fake_torch([FakeCard(uuid=UUID.decode())]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return found


def test_the_gpu_is_described(library: Library) -> None:
    (found,) = nvidia_cards.accelerators()
    assert len(found.pop("id")) == 8
    assert found == {
        **{"device": "cuda:0", "name": "NVIDIA H200", "driver": "580.95.05", "cuda_driver": "13.0"},
        **{"compute_capability": "9.0", "memory_mb": 150_000, "power_limit_w": 700.0, "persistence_mode": True},
        **{"mig": False, "absent": {"ecc": nvml.REASONS[NOT_SUPPORTED]}},
    }
    assert library.calls == ["init"]


def test_energy_clocks_and_other_processes_are_measured(library: Library) -> None:
    library.processes = [(os.getpid(), 3_000_000_000), (OTHER, 500_000_000)]
    library.events = 0x44
    meter = CardMeter(["cuda:0"])
    meter.begin()
    time.sleep(0.3)
    seen = meter.end()
    assert seen.energy_j == pytest.approx(500 * seen.seconds, rel=0.05)
    assert seen.shared == "1 other process used cuda:0 at the same time"
    assert seen.slowed == {"cuda:0": ["thermal slowdown (hardware)"]}
    (card,) = seen.gpus
    assert card["other_processes"] == {"number": 1, "computing": 1, "memory_mb": 500}
    assert card["begin"] == {
        **{"sm_mhz": 1980, "memory_mhz": 3201, "temperature_c": 45},
        "clocks_limited_by": ["power limit", "thermal slowdown (hardware)"],
    }


@pytest.mark.parametrize(("computing", "shared"), [([os.getpid()], False), ([os.getpid(), OTHER], True), ([], True)])
def test_idle_processes_are_distinguished_from_busy_ones(computing: list[int], shared: bool, library: Library) -> None:
    library.processes = [(os.getpid(), 1), (OTHER, 1)]
    library.computing = computing
    meter = CardMeter(["cuda:0"])
    meter.begin()
    assert (meter.end().shared is not None) is shared


def test_memory_that_the_driver_does_not_report_is_null(library: Library) -> None:
    library.processes = [(os.getpid(), 2**64 - 1)]
    assert nvidia()["cards"][0]["processes"] == {"number": 1, "memory_mb": None}
    library.processes = []
    assert nvidia()["cards"][0]["processes"] == {"number": 0, "memory_mb": 0}


def test_doctor_has_a_row_for_the_gpu(library: Library) -> None:
    assert dict(rows(nvidia())) == {
        "nvidia 0": "NVIDIA H200, 150.0 GB, compute capability 9.0, driver 580.95.05 (CUDA 13.0), 700 W power limit,"
        " 0 compute processes"
    }


@pytest.mark.parametrize(
    ("function", "said"),
    [("nvmlDeviceGetFanSpeed", nvml.REASONS[NOT_SUPPORTED]), ("nvmlDeviceGetHandleByUUID", "NVML: Not Found")],
)
def test_error_codes_become_reasons(function: str, said: str, library: Library) -> None:
    with pytest.raises(nvml.Absent) as caught:
        nvml.ask(function, "GPU-0")
    assert str(caught.value) == said


def test_a_function_that_the_driver_lacks_is_absent(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)

    nvml.library()
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer", missing)
    with pytest.raises(nvml.Absent, match="driver is too old"):
        nvml.ask("nvmlDeviceGetTotalEnergyConsumption", None)
    with pytest.raises(nvml.Absent, match="pyNVML"):
        nvml.ask("nvmlDeviceGetComputeRunningProcesses", None)
