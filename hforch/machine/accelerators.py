"""Torch's accelerators (CUDA, ROCm, XPU): which there are, their memory, and why one cannot be used.

The one place that asks torch about them. Functions that measure (`peaks`, `reset_peaks`, `release`) import nothing and
initialize no device: they only look at a torch that is loaded and at work already. The others belong into a process
that will load the model, never into the parent.
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

MB = 1e6
KINDS = ("cuda", "xpu")
INSTALL = "https://pytorch.org/get-started/locally/"
HIDES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK")
"""Environment variables that name the devices which a process may see."""

MEASURES = ("is_initialized", "device_count", "max_memory_allocated", "max_memory_reserved", "mem_get_info")
"""What torch has of each kind to measure memory by."""

HINTS = {
    "busy or unavailable": "another process may hold it exclusively ({tool} shows compute mode and processes)",
    "ecc error": "its memory has errors: {tool} -q -d ECC shows them, and a reset or a new card mends them",
    "out of memory": "other processes fill its memory ({tool} shows them)",
    "re-initialize": "CUDA was initialized in the process that this one was forked from",
}
"""What to do, by words of errors in lower case; `tool` is the vendor's."""


@dataclass(frozen=True)
class Accelerator:
    """A device besides the CPU. Memory in MB of 10^6 bytes, of the device as a whole.

    Attributes:
        name: as torch calls it, such as `cuda:0`.
        model: such as `NVIDIA H200`.
        capability: CUDA's compute capability, (major, minor); None elsewhere.
    """

    name: str
    model: str
    capability: tuple[int, int] | None
    free_mb: float
    total_mb: float


@dataclass(frozen=True)
class Unusable:
    """Why a device cannot be used, and what to do."""

    problem: str
    hint: str


def kind() -> str | None:
    """Return the type of this machine's accelerators as torch calls it, such as `cuda`; None where there are none."""
    import torch

    with warnings.catch_warnings():  # what keeps CUDA from working is told by `why_none`
        warnings.simplefilter("ignore")
        for name in KINDS:
            module = getattr(torch, name, None)
            if module is not None and module.is_available() and module.device_count():
                return name
        if torch.accelerator.is_available():
            return str(torch.accelerator.current_accelerator().type)
    return None


def names() -> list[str]:
    """Return the devices that torch has besides the CPU, such as `cuda:0`."""
    import torch

    found = kind()
    if found is None:
        return []
    module = getattr(torch, found, None) if found in KINDS else torch.accelerator
    return [f"{found}:{index}" for index in range(module.device_count())]  # type: ignore[union-attr]


def list_accelerators(name: str) -> Accelerator | Unusable:
    """Initialize a device and ask it for its memory; what fails then would fail when a model is loaded."""
    import torch

    found, _, index = name.partition(":")
    if found not in KINDS:
        return Accelerator(name, found, None, float("inf"), float("inf"))
    module = getattr(torch, found)
    try:
        free, total = module.mem_get_info(int(index))
        properties = module.get_device_properties(int(index))
    except Exception as error:
        said = _first_line(error)
        hint = next((hint for words, hint in HINTS.items() if words in said.lower()), "{tool} shows its state")
        return Unusable(f"{name} cannot be used: {said}", f"{hint.format(tool=_tool(found))}; or use another device")
    capability = (properties.major, properties.minor) if found == "cuda" else None
    return Accelerator(name, str(properties.name), capability, free / MB, total / MB)


def usable() -> list[Accelerator]:
    """Return all devices that work."""
    return [one for name in names() if isinstance(one := list_accelerators(name), Accelerator)]


def reason_for_none() -> Unusable:
    """Return why torch has no accelerator here."""
    import torch

    built_for = [name for name, version in (("CUDA", torch.version.cuda), ("ROCm", torch.version.hip)) if version]
    is_for_xpu = getattr(torch.xpu, "_is_compiled", lambda: False)()
    if not built_for and not is_for_xpu:
        problem = f"this torch ({torch.__version__}) is a CPU build"
        return Unusable(problem, f"{INSTALL} has the command that installs one for your GPU")
    said = _why_no_cuda() if built_for else "no XPU was found"
    hidden = _hidden()
    if "too old" in said:
        return _old_driver(said)
    if hidden and "found no nvidia driver" not in said.lower():
        name, value = hidden
        problem = f"{name}={value!r} hides them" if value.strip() in ("", "-1") else f"{name}={value!r} names none"
        return Unusable(f"{problem} ({said})", f"unset {name}, or let it name one, such as {name}=0")
    tool = _tool("cuda" if built_for else "xpu")
    return Unusable(said, f"{tool} shows whether driver and card work; this torch is built for {_built_for()}")


def hint_of_visible() -> str:
    """Return words about the environment variable that hides devices, if one is set; else nothing."""
    hidden = _hidden()
    return f"; {hidden[0]}={hidden[1]!r} decides which are seen" if hidden else ""


def _hidden() -> tuple[str, str] | None:
    return next(((name, os.environ[name]) for name in HIDES if name in os.environ), None)


def _why_no_cuda() -> str:
    """Let CUDA's initialization fail once more: torch tells the reason of the first time only as a warning, once."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.cuda.init()
    except Exception as error:
        return _first_line(error)
    return "no CUDA device was found"


def _old_driver(said: str) -> Unusable:
    found = re.search(r"found version (\d+)", said)
    version = f" (it supports CUDA {int(found[1]) // 1000}.{int(found[1]) % 1000 // 10})" if found else ""
    return Unusable(
        f"the NVIDIA driver{version} is too old for this torch, which is built for {_built_for()}",
        f"update the driver, or install a torch that is built for the driver's CUDA: {INSTALL} has the commands",
    )


def _tool(kind: str) -> str:
    """Return the vendor's command that shows the state of its devices."""
    import torch

    return "xpu-smi" if kind == "xpu" else "rocm-smi" if torch.version.hip else "nvidia-smi"


def _built_for() -> str:
    import torch

    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}"
    return f"ROCm {torch.version.hip}" if torch.version.hip else "XPU"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300].rstrip(".") if lines else type(error).__name__


# ---------------------------------------------------------------- memory of this process
def peaks() -> list[dict[str, Any]]:
    """Return the most memory that torch has taken on each device since `reset_peaks`, in MB.

    `allocated_mb` is what tensors took, `reserved_mb` what torch's allocator held for them. Devices without any are
    left out; so the list is empty where no accelerator is used.
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
    """Return the higher one of two peaks of each device."""
    found: dict[str, dict[str, Any]] = {}
    for one in (*some, *others):
        known = found.setdefault(one["device"], dict(one))
        known |= {name: max(known[name], one[name]) for name in ("allocated_mb", "reserved_mb")}
    return [found[name] for name in sorted(found)]


def reset_peaks() -> None:
    """Let the peaks of all devices begin anew, at what is allocated now."""
    for _, module, index in _at_work():
        module.reset_peak_memory_stats(index)


def release() -> None:
    """Return memory that no tensor uses to the devices, for other processes and larger pieces."""
    gc.collect()
    for module in {id(module): module for _, module, _ in _at_work()}.values():
        module.empty_cache()


def synchronize(devices: Collection[str]) -> None:
    """Wait until devices, such as `cuda:0` or accelerate's `0`, have done their work; leave others alone."""
    for name, module, index in _at_work():
        if f"{name}:{index}" in devices or str(index) in devices:
            module.synchronize(index)


def free_mb(index: int | None) -> float | None:
    """Return what is free of a device that this process has at work, of all for None; None if that is not known."""
    found = [module.mem_get_info(at)[0] for _, module, at in _at_work() if index in (None, at)]
    return sum(found) / MB if found else None


def _at_work() -> list[tuple[str, Any, int]]:
    """Return kind, module and index of the devices of a torch that this process has loaded and initialized."""
    torch = sys.modules.get("torch")
    found = []
    for name in KINDS:
        module: Any = getattr(torch, name, None)
        if all(hasattr(module, one) for one in MEASURES) and module.is_initialized():  # it may be half imported
            found += [(name, module, index) for index in range(module.device_count())]
    return found
