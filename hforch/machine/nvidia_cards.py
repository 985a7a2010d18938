"""Describe NVIDIA GPUs and their current state with NVML; record the reason if a value cannot be read."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hforch.machine.nvml import Absent, ask, card_of, handle_of, is_partitioned, visible

# nvmlClocksEventReasons: bits of nvmlDeviceGetCurrentClocksEventReasons (before driver 535: ...ClocksThrottleReasons).
EVENTS = {
    0x001: "idle",
    0x002: "application clocks",
    0x004: "power limit",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "thermal slowdown (driver)",
    0x040: "thermal slowdown (hardware)",
    0x080: "power brake",
    0x100: "display clocks",
}
SLOWED = 0x008 | 0x020 | 0x040 | 0x080
"""Reasons that indicate a problem; the power limit and configured clocks are normal operation."""
SM_CLOCK, MEMORY_CLOCK, DIE = 1, 2, 0  # nvmlClockType_t, nvmlTemperatureSensors_t

Reads = Mapping[str, Callable[[Any], Any]]


def _reading(name: str, *arguments: Any) -> Callable[[Any], Any]:
    return lambda handle: ask(name, handle, *arguments)


def _in(unit: float, name: str, *arguments: Any, digits: int = 1) -> Callable[[Any], float]:
    return lambda handle: round(ask(name, handle, *arguments) / unit, digits)


def identity(handle: Any) -> str:
    """Return a short hash of the UUID, which distinguishes GPUs without publishing a serial number."""
    return hashlib.sha256(str(ask("nvmlDeviceGetUUID", handle)).encode()).hexdigest()[:8]


def _cuda_driver(handle: Any) -> str:
    number = ask("nvmlSystemGetCudaDriverVersion_v2")
    return f"{number // 1000}.{number % 1000 // 10}"


WHAT: Reads = {
    "name": _reading("nvmlDeviceGetName"),
    "id": identity,
    "driver": lambda handle: ask("nvmlSystemGetDriverVersion"),
    "cuda_driver": _cuda_driver,
    "compute_capability": lambda handle: ".".join(map(str, ask("nvmlDeviceGetCudaComputeCapability", card_of(handle)))),
    "memory_mb": lambda handle: round(ask("nvmlDeviceGetMemoryInfo", handle).total / 1e6),
    "power_limit_w": lambda handle: _in(1e3, "nvmlDeviceGetEnforcedPowerLimit")(card_of(handle)),
    "persistence_mode": lambda handle: bool(ask("nvmlDeviceGetPersistenceMode", card_of(handle))),
    "ecc": lambda handle: bool(ask("nvmlDeviceGetEccMode", card_of(handle))[0]),
    "mig": is_partitioned,
}
"""The properties of a GPU, by names in records."""

NOW: Reads = {
    "sm_mhz": _reading("nvmlDeviceGetClockInfo", SM_CLOCK),
    "memory_mhz": _reading("nvmlDeviceGetClockInfo", MEMORY_CLOCK),
    "temperature_c": _reading("nvmlDeviceGetTemperature", DIE),
    "clocks_limited_by": lambda handle: events_in(event_bits(handle)),
}
"""The state of a GPU, by names in records."""


def read(reads: Reads, handle: Any) -> dict[str, Any]:
    """Read values by name; for values that cannot be read, the reason is under `absent`."""
    found: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, one in reads.items():
        try:
            found[name] = one(handle)
        except Absent as reason:
            absent[name] = str(reason)
    return found | ({"absent": absent} if absent else {})


def state(handle: Any) -> dict[str, Any]:
    """Read clocks, temperature and clock event reasons; for a MIG instance, those of its GPU."""
    return read(NOW, card_of(handle))


def event_bits(handle: Any) -> int:
    """Return the clock event reasons as a bit mask; see EVENTS.

    Raises:
        Absent: the GPU or the driver does not report them.
    """
    try:
        return int(ask("nvmlDeviceGetCurrentClocksEventReasons", handle))
    except Absent:
        return int(ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle))


def events_in(bits: int) -> list[str]:
    known = [name for bit, name in EVENTS.items() if bits & bit]
    other = bits & ~sum(EVENTS)
    return [*known, *([f"unknown reason {other:#x}"] if other else [])]


# ---------------------------------------------------------------- accelerators of a record
def accelerators() -> list[dict[str, Any]]:
    """Describe this process's accelerators: torch's devices if CUDA is initialized, else NVML's visible GPUs.

    CUDA is initialized only if NVML is missing, since its memory would be counted as memory of a CPU job.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        try:
            return [read(WHAT, handle) for handle in visible()]
        except Absent:
            if torch is None or not torch.cuda.is_available():
                return []
    return [_of_torch(torch, number) for number in range(torch.cuda.device_count())]


def _of_torch(torch: Any, number: int) -> dict[str, Any]:
    own = {"device": f"cuda:{number}"}
    try:
        return own | read(WHAT, handle_of(number))
    except Absent as reason:
        about = torch.cuda.get_device_properties(number)
        own |= {"name": str(about.name), "memory_mb": round(about.total_memory / 1e6)}
        return own | {"compute_capability": f"{about.major}.{about.minor}", "absent": {"nvml": str(reason)}}


def cuda_numbers(devices: Sequence[str]) -> list[int]:
    """Return the indices of the CUDA devices among a job's devices: 1 for `cuda:1` or accelerate's `1`."""
    found = set()
    for device in map(str, devices):
        kind, _, number = device.rpartition(":")
        if number.isdigit() and kind in ("", "cuda"):
            found.add(int(number))
        elif device == "cuda":
            found.add(0)
    return sorted(found)
