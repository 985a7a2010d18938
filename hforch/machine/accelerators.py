"""List torch's accelerators (CUDA, ROCm, XPU), their memory, and the reason why one cannot be used.

Functions that measure (`peaks`, `reset_peaks`, `release`) neither import torch nor initialize a device; they use torch
only if this process has already done so. Call the other functions only in a process that will load the model, never in
its parent.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hforch.errors import first_line

MB = 1e6
KINDS = ("cuda", "xpu")
INSTALL = "https://pytorch.org/get-started/locally/"
HIDES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")
"""Environment variables that restrict the devices visible to a process."""

MEASURES = ("is_initialized", "device_count", "max_memory_allocated", "max_memory_reserved", "mem_get_info")
"""Functions of torch's device modules that are needed to measure memory."""

HINTS = {
    "busy or unavailable": "another process may be using it exclusively ({tool} shows compute mode and processes)",
    "ecc error": "its memory has errors ({tool} -q -d ECC shows them); reset or replace the GPU",
    "out of memory": "other processes are using its memory ({tool} shows them)",
    "re-initialize": "CUDA was initialized before this process was forked",
}
"""Hints by lower-case phrases of errors; `tool` is the vendor's command."""


@dataclass(frozen=True)
class Accelerator:
    """A device other than the CPU.

    Attributes:
        name: torch's name of the device, such as `cuda:0`.
        model: name of the product, such as `NVIDIA H200`.
        capability: CUDA compute capability (major, minor); None for other devices.
        free_mb, total_mb: memory of the whole device, in MB of 10^6 bytes.
    """

    name: str
    model: str
    capability: tuple[int, int] | None
    free_mb: float
    total_mb: float


@dataclass(frozen=True)
class Unusable:
    """The reason why a device cannot be used, and a hint."""

    problem: str
    hint: str


def kind() -> str | None:
    """Return torch's name for this machine's type of accelerator, such as `cuda`, or None without an accelerator."""
    import torch

    with warnings.catch_warnings():  # `reason_for_none` explains why CUDA does not work
        warnings.simplefilter("ignore")
        for name in KINDS:
            module = getattr(torch, name, None)
            if module is not None and module.is_available() and module.device_count():
                return name
        if torch.accelerator.is_available():
            return str(torch.accelerator.current_accelerator().type)
    return None


def names() -> list[str]:
    """Return the names of torch's devices other than the CPU, such as `cuda:0`."""
    import torch

    found = kind()
    if found is None:
        return []
    module = getattr(torch, found, None) if found in KINDS else torch.accelerator
    return [f"{found}:{index}" for index in range(module.device_count())]  # type: ignore[union-attr]


def query(name: str) -> Accelerator | Unusable:
    """Initialize a device and query its memory; return an Accelerator, or Unusable with the reason."""
    import torch

    found, _, index = name.partition(":")
    if found not in KINDS:
        return Accelerator(name, found, None, float("inf"), float("inf"))
    module = getattr(torch, found)
    try:
        free, total = module.mem_get_info(int(index))
        properties = module.get_device_properties(int(index))
    except Exception as error:
        message = first_line(error, 300).rstrip(".")
        hint = next((hint for words, hint in HINTS.items() if words in message.lower()), "{tool} shows its state")
        return Unusable(f"{name} cannot be used: {message}", hint.format(tool=_tool(found)))
    capability = (properties.major, properties.minor) if found == "cuda" else None
    return Accelerator(name, str(properties.name), capability, free / MB, total / MB)


def usable() -> list[Accelerator]:
    """Return all devices that can be used."""
    return [one for name in names() if isinstance(one := query(name), Accelerator)]


def reason_for_none() -> Unusable:
    """Return the reason why torch has no accelerator on this machine, and a hint in the imperative."""
    import torch

    built_for = [name for name, version in (("CUDA", torch.version.cuda), ("ROCm", torch.version.hip)) if version]
    is_for_xpu = getattr(torch.xpu, "_is_compiled", lambda: False)()
    if not built_for and not is_for_xpu:
        problem = f"this torch ({torch.__version__}) is a CPU build"
        return Unusable(problem, f"install a GPU build of torch: {INSTALL}")
    message = _why_no_cuda() if built_for else "no XPU was found"
    hidden = _hidden()
    if "too old" in message:
        return _old_driver(message)
    if hidden and "found no nvidia driver" not in message.lower():
        name, value = hidden
        problem = (
            f"{name}={value!r} hides all devices"
            if value.strip() in ("", "-1")
            else f"{name}={value!r} matches no device"
        )
        return Unusable(f"{problem} ({message})", f"unset {name}, or set it to a device, such as {name}=0")
    tool = _tool("cuda" if built_for else "xpu")
    return Unusable(message, f"check the driver and the GPU with {tool} (this torch is built for {_built_for()})")


def hint_of_visible() -> str:
    """Return a hint with the environment variable that restricts visible devices, or "" if all devices are visible."""
    hidden = _hidden()
    return f"; {hidden[0]}={hidden[1]!r} restricts the visible devices" if hidden else ""


def _hidden() -> tuple[str, str] | None:
    return next(((name, os.environ[name]) for name in HIDES if name in os.environ), None)


def _why_no_cuda() -> str:
    """Return the reason why CUDA cannot be initialized.

    The initialization is retried, because torch reports the first failure only once, as a warning.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.cuda.init()
    except Exception as error:
        return first_line(error, 300).rstrip(".")
    return "no CUDA device was found"


def _old_driver(message: str) -> Unusable:
    found = re.search(r"found version (\d+)", message)
    version = f" (it supports CUDA {int(found[1]) // 1000}.{int(found[1]) % 1000 // 10})" if found else ""
    return Unusable(
        f"the NVIDIA driver{version} is too old for this torch, which is built for {_built_for()}",
        f"update the driver, or install a torch that is built for the driver's CUDA version (see {INSTALL})",
    )


def _tool(kind: str) -> str:
    """Return the vendor's command that shows the state of devices."""
    import torch

    return "xpu-smi" if kind == "xpu" else "rocm-smi" if torch.version.hip else "nvidia-smi"


def _built_for() -> str:
    import torch

    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return f"ROCm {torch.version.hip}" if torch.version.hip else "XPU"


# ---------------------------------------------------------------- memory of this process
def peaks() -> list[dict[str, Any]]:
    """Return torch's peak memory on each device since `reset_peaks`, in MB.

    `allocated_mb` is the memory of tensors, and `reserved_mb` the memory reserved by torch's allocator. Devices without
    allocated memory are omitted, so the list is empty if no accelerator is used.
    """
    found = []
    for name, module, index in _at_work():
        allocated = module.max_memory_allocated(index)
        if allocated:
            reserved = module.max_memory_reserved(index)
            sizes = {"allocated_mb": round(allocated / MB, 1), "reserved_mb": round(reserved / MB, 1)}
            found.append({"device": f"{name}:{index}", **sizes})
    return found


def higher_peaks(some: Iterable[Mapping[str, Any]], others: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the maximum of two lists of peaks, by device."""
    found: dict[str, dict[str, Any]] = {}
    for one in (*some, *others):
        known = found.setdefault(one["device"], dict(one))
        known |= {name: max(known[name], one[name]) for name in ("allocated_mb", "reserved_mb")}
    return [found[name] for name in sorted(found)]


def reset_peaks() -> None:
    """Reset the peaks of all devices to the memory that is allocated now."""
    for _, module, index in _at_work():
        module.reset_peak_memory_stats(index)


def release() -> None:
    """Free cached memory that no tensor uses, for other processes and larger allocations."""
    gc.collect()
    for module in {id(module): module for _, module, _ in _at_work()}.values():
        module.empty_cache()


def synchronize(devices: Collection[str]) -> None:
    """Wait for the pending work of devices, given as `cuda:0` or as accelerate's `0`."""
    for name, module, index in _at_work():
        if f"{name}:{index}" in devices or str(index) in devices:
            module.synchronize(index)


def free_mb(index: int | None) -> float | None:
    """Return the free memory, in MB, of a device that this process has initialized, or None if unknown.

    Args:
        index: index of the device; None for the sum over all devices.
    """
    found = [module.mem_get_info(at)[0] for _, module, at in _at_work() if index in (None, at)]
    return sum(found) / MB if found else None


def _at_work() -> list[tuple[str, Any, int]]:
    """Return kind, torch module and index of the devices that this process has initialized."""
    torch = sys.modules.get("torch")
    found = []
    for name in KINDS:
        module: Any = getattr(torch, name, None)
        if all(hasattr(module, one) for one in MEASURES) and module.is_initialized():  # torch may be partially imported
            found += [(name, module, index) for index in range(module.device_count())]
    return found
