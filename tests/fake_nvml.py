"""Scripted fakes of pynvml and torch.cuda: GPUs with energy counters, processes, clocks and errors."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from ctypes import c_uint
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hforch.machine import nvml

NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, NO_DRIVER, NO_LIBRARY = 3, 4, 6, 9, 12


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"NVML error {value}")
        self.value = value


@dataclass(eq=False)
class FakeCard:
    """A GPU, which is its own handle.

    Attributes:
        watts: power; the energy counter increases with time.
        energies: successive values of the energy counter in mJ, instead of `watts`; the last one repeats.
        processes: memory in MB by process id, or a function that returns it.
        computing: ids of processes that compute; None if the driver does not report them.
        events: successive bit masks of clock limits; the last one repeats.
        errors: NVML's return code by function.
        parent: the GPU of a MIG instance.
    """

    name: str = "NVIDIA H200"
    uuid: str = "GPU-11111111-2222-3333-4444-555555555555"
    watts: float = 500.0
    energies: list[int] | None = None
    processes: dict[int, float | None] | Callable[[], dict[int, float | None]] = field(default_factory=dict)
    computing: Sequence[int] | None = None
    events: list[int] = field(default_factory=lambda: [0])
    errors: dict[str, int] = field(default_factory=dict)
    mig: bool = False
    parent: FakeCard | None = None
    pci: str = "00000000:01:00.0"
    asked: list[str] = field(default_factory=list)

    def fails(self, name: str, code: int = NOT_SUPPORTED) -> FakeCard:
        self.errors[name] = code
        return self


class FakeNvml(ModuleType):
    """A fake pynvml; `inits` counts initializations, `fails_to_start` is a return code of nvmlInit."""

    def __init__(self, cards: Sequence[FakeCard], fails_to_start: int | None = None) -> None:
        super().__init__("pynvml")
        self.cards, self.fails_to_start = list(cards), fails_to_start
        self.inits = self.shutdowns = 0
        self.NVMLError = NVMLError

    def nvmlInit(self) -> None:
        if self.fails_to_start is not None:
            raise NVMLError(self.fails_to_start)
        self.inits += 1

    def nvmlShutdown(self) -> None:
        self.shutdowns += 1

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95.05"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        return len([card for card in self.cards if card.parent is None])

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeCard:
        return [card for card in self.cards if card.parent is None][index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeCard:
        return self._find(lambda card: card.uuid == uuid)

    def nvmlDeviceGetHandleByPciBusId(self, pci: str) -> FakeCard:
        return self._find(lambda card: card.pci == pci)

    def nvmlDeviceGetMaxMigDeviceCount(self, card: FakeCard) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: FakeCard, index: int) -> FakeCard:
        parts = [part for part in self.cards if part.parent is card]
        if index >= len(parts):
            raise NVMLError(NOT_FOUND)
        return parts[index]

    def _find(self, wanted: Callable[[FakeCard], bool]) -> FakeCard:
        for card in self.cards:
            if wanted(card):
                return card
        raise NVMLError(NOT_FOUND)

    def __getattr__(self, name: str) -> Any:
        """Return a fake NVML function of one GPU."""
        own = ANSWERS.get(name)
        if own is None:
            raise AttributeError(name)

        def answer(card: FakeCard, *arguments: Any) -> Any:
            card.asked.append(name)
            if name in card.errors:
                raise NVMLError(card.errors[name])
            return own(card, *arguments)

        return answer


def _energy(card: FakeCard) -> int:
    if card.energies is not None:
        return card.energies.pop(0) if len(card.energies) > 1 else card.energies[0]
    return int(1e9 + time.perf_counter() * card.watts * 1e3)


def _processes(card: FakeCard) -> list[Any]:
    there = card.processes() if callable(card.processes) else card.processes
    return [SimpleNamespace(pid=pid, usedGpuMemory=None if mb is None else int(mb * 1e6)) for pid, mb in there.items()]


def _events(card: FakeCard) -> int:
    return card.events.pop(0) if len(card.events) > 1 else card.events[0]


def _utilization(card: FakeCard, since: int) -> list[Any]:
    if card.computing is None:
        raise NVMLError(NOT_SUPPORTED)
    there = card.processes() if callable(card.processes) else card.processes
    return [SimpleNamespace(pid=pid, timeStamp=since + 1, smUtil=90 * (pid in card.computing)) for pid in there]


ANSWERS: dict[str, Callable[..., Any]] = {
    "nvmlDeviceGetName": lambda card: card.name,
    "nvmlDeviceGetUUID": lambda card: card.uuid,
    "nvmlDeviceGetCudaComputeCapability": lambda card: (9, 0),
    "nvmlDeviceGetMemoryInfo": lambda card: SimpleNamespace(total=150_000_000_000),
    "nvmlDeviceGetEnforcedPowerLimit": lambda card: 700_000,
    "nvmlDeviceGetPersistenceMode": lambda card: 1,
    "nvmlDeviceGetEccMode": lambda card: [1, 1],
    "nvmlDeviceGetMigMode": lambda card: [int(card.mig), int(card.mig)],
    "nvmlDeviceIsMigDeviceHandle": lambda card: c_uint(card.parent is not None),
    "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": lambda card: card.parent,
    "nvmlDeviceGetClockInfo": lambda card, kind: {1: 1980, 2: 3201}[kind],
    "nvmlDeviceGetTemperature": lambda card, sensor: 45,
    "nvmlDeviceGetCurrentClocksEventReasons": _events,
    "nvmlDeviceGetCurrentClocksThrottleReasons": _events,
    "nvmlDeviceGetComputeRunningProcesses": _processes,
    "nvmlDeviceGetMPSComputeRunningProcesses": lambda card: [],
    "nvmlDeviceGetProcessUtilization": _utilization,
    "nvmlDeviceGetPowerUsage": lambda card: int(card.watts * 1e3),
    "nvmlDeviceGetTotalEnergyConsumption": _energy,
}


def fake_torch(cards: Sequence[FakeCard], initialized: bool = True) -> Any:
    """Return a fake torch with these CUDA devices, in this order; `described` counts initializations of CUDA."""

    def properties(number: int) -> Any:
        card = cards[number]
        torch.described += 1
        uuid = card.uuid.partition("-")[2]
        about = SimpleNamespace(name=card.name, total_memory=150_000_000_000, major=9, minor=0, uuid=uuid)
        about.pci_domain_id, about.pci_bus_id, about.pci_device_id = 0, int(card.pci.split(":")[1], 16), 0
        return about

    cuda = SimpleNamespace(
        is_available=lambda: bool(cards),
        is_initialized=lambda: initialized,
        device_count=lambda: len(cards),
        get_device_properties=properties,
    )
    built = SimpleNamespace(cuda="13.0", hip=None)
    torch = SimpleNamespace(cuda=cuda, version=built, __version__="2.13.0+cu130", described=0)
    return torch


def install(
    monkeypatch: pytest.MonkeyPatch,
    cards: Sequence[FakeCard] = (),
    torch: Any = None,
    fails_to_start: int | None = None,
) -> FakeNvml:
    """Replace the modules pynvml and torch with the fakes.

    Args:
        torch: by default, a fake torch with all GPUs, in this order.
    """
    fake = FakeNvml(cards, fails_to_start)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setitem(sys.modules, "torch", fake_torch(cards) if torch is None else torch)
    monkeypatch.setattr(nvml, "NODES", (Path("/dev/null"),))
    monkeypatch.setattr(nvml, "_process", None)
    monkeypatch.setattr(nvml, "_failed", None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return fake
