"""NVIDIA GPUs in `hforch doctor`: data from NVML, and reasons why torch cannot use them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from hforch.machine.nvidia_cards import NOW, SLOWED, WHAT, events_in, read
from hforch.machine.nvidia_processes import processes
from hforch.machine.nvml import Absent, ask, handles, has_driver, visible

SLOWDOWNS = events_in(SLOWED)
WHERE = "see https://pytorch.org/get-started/locally for CUDA builds"


def nvidia() -> dict[str, Any]:
    """Return data on all GPUs, including those that CUDA_VISIBLE_DEVICES hides; `error` is why NVML cannot be used."""
    found: dict[str, Any] = {"error": None, "driver_found": has_driver(), "cards": [], "hidden": False}
    try:
        found["cards"] = [_card(handle) for handle in handles()]
        found["hidden"] = bool(found["cards"]) and not visible()
    except Absent as reason:
        found["error"] = str(reason)
    return found


def _card(handle: Any) -> dict[str, Any]:
    found = read(WHAT, handle)
    now = read(NOW, handle)
    absent = found.pop("absent", {}) | now.pop("absent", {})
    found |= now
    try:
        there = processes(handle)
        used = [one.usedGpuMemory for one in there]
        memory = None if None in used else round(sum(used) / 1e6)
        found["processes"] = {"number": len(there), "memory_mb": memory}
    except Absent as reason:
        absent["processes"] = str(reason)
    if found.get("mig"):
        found["instances"] = list(_instances(handle))
    return found | ({"absent": absent} if absent else {})


def _instances(handle: Any) -> Iterator[str]:
    with suppress(Absent):
        for index in range(ask("nvmlDeviceGetMaxMigDeviceCount", handle)):
            with suppress(Absent):
                yield str(ask("nvmlDeviceGetName", ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)))


def rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a row for each GPU; none on a machine without an NVIDIA driver."""
    for index, card in enumerate(found["cards"]):
        yield f"nvidia {index}", ", ".join(_facts(card))
    if found["error"] and found["driver_found"]:
        yield "nvidia", found["error"]


def _facts(card: Mapping[str, Any]) -> Iterator[str]:
    yield str(card.get("name", "unknown GPU"))
    if "memory_mb" in card:
        yield f"{card['memory_mb'] / 1e3:.1f} GB"
    if "compute_capability" in card:
        yield f"compute capability {card['compute_capability']}"
    if "driver" in card:
        yield f"driver {card['driver']}" + (f" (CUDA {card['cuda_driver']})" if "cuda_driver" in card else "")
    if "power_limit_w" in card:
        yield f"{card['power_limit_w']:.0f} W power limit"
    if slowed := [reason for reason in card.get("clocks_limited_by", ()) if reason in SLOWDOWNS]:
        yield f"throttled: {' and '.join(slowed)}"
    if card.get("mig"):
        yield f"MIG: {', '.join(card['instances']) or 'no instances'}"
    if there := card.get("processes"):
        memory = "" if there["memory_mb"] is None else f" with {there['memory_mb'] / 1e3:.1f} GB"
        yield f"{there['number']} compute process{'es' * (there['number'] != 1)}{memory if there['number'] else ''}"


def remarks(found: Mapping[str, Any], torch: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the reason why torch cannot use the GPUs, with the fix.

    Args:
        torch: torch's `devices`, `error` and `build` (None if it could not be imported).
    """
    build = torch["build"]
    if build is None or build["hip"] or not (found["cards"] or found["driver_found"]):
        return
    if build["cuda"] is None:
        yield "torch", f"{build['version']} is a build without CUDA, but this machine has an NVIDIA GPU: {WHERE}"
        return
    if torch["error"] or any(device["device"].startswith("cuda") for device in torch["devices"]):
        return
    driver, supports = ((found["cards"] or [{}])[0].get(name) for name in ("driver", "cuda_driver"))
    if found["hidden"]:
        yield "torch", f"CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']!r} hides all GPUs"
    elif supports and _major(supports) < _major(build["cuda"]):
        problem = f"{build['version']} requires CUDA {build['cuda']}, but driver {driver} only supports CUDA {supports}"
        yield "torch", f"{problem}: install a newer driver, or torch for an older CUDA ({WHERE})"
    else:
        yield "torch", "cannot find the NVIDIA GPU; to see why: python -c 'import torch; torch.cuda.init()'"


def _major(version: str) -> int:
    return int(version.partition(".")[0])
