"""Measure the energy and clocks of a job's NVIDIA GPUs during its measured phase; record other processes on them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hforch.machine.nvidia_cards import SLOWED, cuda_numbers, event_bits, events_in, identity, state
from hforch.machine.nvidia_processes import HIDDEN, count_others, own_processes, processes
from hforch.machine.nvml import Absent, ask, card_of, handle_of, is_partitioned

LOOK_S = 0.5  # interval at which processes and clocks are checked
LONGEST_S = 10.0  # timeout for NVML at the end
SAMPLE_S = 0.02  # interval of power samples of GPUs without an energy counter
NO_GPU = "no NVIDIA GPU was used"
TOO_SHORT = "the energy counter did not change: the measured phase is shorter than its update interval"
PARTITIONED = "the GPU is partitioned (MIG), and its energy counter covers all partitions"


@dataclass
class Card:
    """The state of a GPU while a job is measured.

    Attributes:
        device: torch's name of the device.
        handle: NVML's handle to the device.
        whole: NVML's handle to the whole GPU, which differs for a MIG instance.
        begin, end: clocks, temperature and clock event reasons at the start and the end.
        energy_j: reading of the energy counter at the start, in J.
        power: power samples as (perf_counter in s, W), used without an energy counter.
        no_energy: why the energy is unknown.
        processes: peak memory in MB by process id; None if the driver does not report it.
        processes_absent: why the processes are unknown.
        busy: ids of processes with SM utilization above 0.
        asked_us: time of the last utilization sample, in microseconds since the epoch.
        bits: all clock event reasons seen so far; see nvidia_cards.EVENTS.
    """

    device: str
    handle: Any
    whole: Any
    begin: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    energy_j: float | None = None
    power: list[tuple[float, float]] = field(default_factory=list)
    no_energy: str | None = None
    processes: dict[int, float | None] = field(default_factory=dict)
    processes_absent: str | None = None
    busy: set[int] = field(default_factory=set)
    asked_us: int = 0
    bits: int = 0


@dataclass(frozen=True)
class CardReadings:
    """The result of a measurement.

    Attributes:
        energy_j: energy of all GPUs, in J; None if unknown, with the reason in `why_not`.
        seconds: time between the two readings.
        gpus: one entry per GPU, as in the record.
        shared: why the GPUs were not used by this job alone; None if they were.
        slowed: slowdown reasons by device, without normal operation such as the power limit.
    """

    energy_j: float | None
    why_not: str | None
    seconds: float
    gpus: list[dict[str, Any]]
    shared: str | None = None
    slowed: dict[str, list[str]] = field(default_factory=dict)

    @property
    def power_w(self) -> float:
        """The mean power, in W."""
        return self.energy_j / self.seconds if self.energy_j is not None else 0.0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(card["device"]) for card in self.gpus)


class CardMeter:
    """A meter of a job's GPUs, from `begin` to `end`.

    Energy is the difference of NVML's counter, which covers the whole GPU. Without a counter, sampled power is
    integrated over time.

    Args:
        devices: the job's devices as in its record, such as `cuda:0`.
        parallel: whether other jobs run on this machine at the same time.
    """

    def __init__(self, devices: Sequence[str], parallel: bool = False) -> None:
        self._numbers, self._parallel = cuda_numbers(devices), parallel
        self._cards: list[Card] = []
        self._unknown: dict[str, str] = {}  # devices without an NVML handle, with the reason
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._broken: str | None = None

    def begin(self) -> None:
        try:
            self._begin()
        except Exception as error:  # a failed measurement must not fail the job
            self._broken = f"{type(error).__name__}: {error}"

    def end(self) -> CardReadings:
        """Stop measuring and return the result."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(LONGEST_S)
            if self._thread.is_alive():  # further NVML calls would hang too
                self._broken = f"NVML did not respond within {LONGEST_S:.0f} s"
        if self._broken is None:
            try:
                return self._seen()
            except Exception as error:
                self._broken = f"{type(error).__name__}: {error}"
        shared = [_possibly_shared(f"cuda:{number}", str(self._broken)) for number in self._numbers if self._parallel]
        return CardReadings(None, self._broken, 0.0, [], "; ".join(shared) or None)

    def _begin(self) -> None:
        for number in self._numbers:
            device = f"cuda:{number}"
            try:
                handle = handle_of(number)
            except Absent as reason:
                self._unknown[device] = str(reason)
            else:
                self._cards.append(Card(device, handle, card_of(handle), asked_us=time.time_ns() // 1000))
        for card in self._cards:
            card.begin = state(card.handle)
            self._look(card)
        for card in self._cards:
            _start_energy(card)
        self._began = time.perf_counter()
        if self._cards:
            self._thread = threading.Thread(target=self._watch, name="hforch-cards", daemon=True)
            self._thread.start()

    def _seen(self) -> CardReadings:
        energies = [_energy(card) for card in self._cards]
        seconds = time.perf_counter() - self._began
        for card in self._cards:
            self._look(card)
            card.end = state(card.handle)
        ours = own_processes()
        why_not = self._why_no_energy()
        entries = [
            _card_record(card, energy, seconds, ours) for card, energy in zip(self._cards, energies, strict=True)
        ]
        entries += [{"device": device, "absent": {"nvml": reason}} for device, reason in self._unknown.items()]
        return CardReadings(
            sum(energy for energy in energies if energy is not None) if why_not is None else None,
            why_not,
            seconds,
            entries,
            self._shared(ours),
            {card.device: events_in(card.bits & SLOWED) for card in self._cards if card.bits & SLOWED},
        )

    def _why_no_energy(self) -> str | None:
        if not self._numbers:
            return NO_GPU
        reasons = [*self._unknown.values(), *(card.no_energy for card in self._cards)]
        return next((reason for reason in reasons if reason is not None), None)

    def _watch(self) -> None:
        sampled = [card for card in self._cards if card.power]
        looked = time.perf_counter()
        while not self._over.wait(SAMPLE_S if sampled else LOOK_S):
            for card in sampled:
                _sample_power(card)
            if time.perf_counter() - looked >= LOOK_S:
                looked = time.perf_counter()
                for card in self._cards:
                    with suppress(Exception):
                        self._look(card)

    def _look(self, card: Card) -> None:
        """Update a GPU's processes and clock event reasons."""
        with suppress(Absent):
            card.bits |= event_bits(card.whole)
        try:
            for process in processes(card.handle):
                used = None if process.usedGpuMemory is None else process.usedGpuMemory / 1e6
                card.processes[process.pid] = max(used or 0.0, card.processes.get(process.pid) or 0.0) or None
        except Absent as reason:
            card.processes_absent = str(reason)
        with suppress(Absent):  # also raised if there is no new sample
            for sample in ask("nvmlDeviceGetProcessUtilization", card.whole, card.asked_us):
                card.asked_us = max(card.asked_us, sample.timeStamp)
                if sample.smUtil:
                    card.busy.add(sample.pid)

    def _shared(self, ours: frozenset[int]) -> str | None:
        """Return why the GPUs were not used by this job alone, or None if they were."""
        reasons = []
        for card in self._cards:
            _, busy = count_others(card.processes, card.busy, ours)
            if busy:
                reasons.append(f"{busy} other process{'es' * (busy > 1)} used {card.device} at the same time")
            elif self._parallel and not card.processes:
                reasons.append(_possibly_shared(card.device, card.processes_absent or HIDDEN))
        if self._parallel:
            reasons += [_possibly_shared(device, reason) for device, reason in self._unknown.items()]
        return "; ".join(reasons) or None


def _possibly_shared(device: str, reason: str) -> str:
    return f"other jobs ran in parallel, possibly also on {device}: {reason}"


def _card_record(card: Card, energy: float | None, seconds: float, ours: frozenset[int]) -> dict[str, Any]:
    """Return the record entry of a GPU."""
    absent: dict[str, str] = {}
    entry: dict[str, Any] = {"device": card.device}
    try:
        entry["id"] = identity(card.handle)
    except Absent as reason:
        absent["id"] = str(reason)
    if energy is not None:
        entry |= {"energy_j": round(energy, 3), "power_w": round(energy / seconds, 3)}
        entry["energy_by"] = "sampled power" if card.power else "counter"
    else:
        absent["energy_j"] = card.no_energy or "unknown"
    entry |= {"begin": card.begin, "end": card.end, "slowed_by": events_in(card.bits & SLOWED)}
    if card.processes:
        others, busy = count_others(card.processes, card.busy, ours)
        entry["other_processes"] = {"number": others, "computing": busy}
        if ours & card.processes.keys():
            memory = [used for pid, used in card.processes.items() if pid not in ours]
            entry["other_processes"]["memory_mb"] = round(sum(used or 0.0 for used in memory))
    else:
        absent["other_processes"] = card.processes_absent or HIDDEN
    return entry | ({"absent": absent} if absent else {})


# ---------------------------------------------------------------- energy
def _start_energy(card: Card) -> None:
    if card.handle is not card.whole or is_partitioned(card.whole):
        card.no_energy = PARTITIONED
        return
    try:
        card.energy_j = ask("nvmlDeviceGetTotalEnergyConsumption", card.handle) / 1e3
    except Absent as reason:
        _sample_power(card)
        if not card.power:
            card.no_energy = f"energy counter: {reason}"


def _sample_power(card: Card) -> None:
    with suppress(Absent):
        card.power.append((time.perf_counter(), ask("nvmlDeviceGetPowerUsage", card.handle) / 1e3))


def _energy(card: Card) -> float | None:
    """Return the energy since the start in J, or None with the reason in `no_energy`."""
    if card.no_energy:
        return None
    if card.power:
        _sample_power(card)
        return integral(card.power)
    assert card.energy_j is not None
    try:
        used = ask("nvmlDeviceGetTotalEnergyConsumption", card.handle) / 1e3 - card.energy_j
    except Absent as reason:
        card.no_energy = f"energy counter: {reason}"
        return None
    if used <= 0:
        card.no_energy = "the energy counter was reset during the measured phase" if used < 0 else TOO_SHORT
        return None
    return float(used)


def integral(samples: Sequence[tuple[float, float]]) -> float:
    """Integrate power samples (s, W) by the trapezoidal rule; return the energy in J."""
    return sum((later - sooner) * (one + other) / 2 for (sooner, one), (later, other) in pairwise(samples))
