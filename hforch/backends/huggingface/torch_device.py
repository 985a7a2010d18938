"""Device and attention implementation of a job on torch, and checks that this machine supports them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from hforch.config.schema import Job
from hforch.errors import Mistake
from hforch.machine import accelerators
from hforch.machine.accelerators import Accelerator, Unusable

NO_GPU = "torch found no usable GPU"
FLASH = {
    "flash_attention_2": ("flash_attn", "flash-attn", (8, 0)),
    "flash_attention_3": ("flash_attn_interface", "flash-attn-3", (9, 0)),
}
"""The module, its package and the minimum compute capability, by attention implementation."""
ATTENTION = "model.attn_implementation"
SDPA = "use model.attn_implementation=sdpa"


def check(job: Job) -> list[Mistake]:
    """Return errors about settings that torch does not support on this machine."""
    if job.device.kind == "gpu":
        there = accelerators.names()
        if mistakes := _check_gpu(job, there):
            return mistakes
        index = job.device.index
        found = [accelerators.query(name) for name in (there if index is None else [there[index]])]
        working = [one for one in found if isinstance(one, Accelerator)]
        if not working:
            return [_not_working(one, there) for one in found if isinstance(one, Unusable)][:1]
        return list(_check_attention(job, working))
    devices = accelerators.usable() if job.device.kind == "auto" and job.model.attn_implementation in FLASH else []
    return list(_check_attention(job, devices))


def device_map(job: Job) -> Any:
    """Return the `device_map` for transformers: a strategy of accelerate, or a single device."""
    if job.device.device_map is not None:
        return job.device.device_map
    return {"": f"{accelerators.kind()}:{job.device.index}" if job.device.kind == "gpu" else "cpu"}


def _check_gpu(job: Job, there: list[str]) -> list[Mistake]:
    if not there:
        why = accelerators.reason_for_none()
        return [Mistake("device.kind", f"{NO_GPU}: {why.problem}", None, f"use device=cpu, or {why.hint}")]
    if job.device.index is not None and job.device.index >= len(there):
        problem = f"GPU {job.device.index} does not exist"
        hint = f"available devices: cpu, {', '.join(there)}{accelerators.hint_of_visible()}"
        return [Mistake("device.index", problem, None, hint)]
    return []


def _not_working(one: Unusable, there: list[str]) -> Mistake:
    return Mistake("device.index", one.problem, None, f"{one.hint}; or use another device: cpu, {', '.join(there)}")


def _check_attention(job: Job, devices: list[Accelerator]) -> Iterator[Mistake]:
    asked = job.model.attn_implementation
    if asked == "flex_attention" and (reason := _why_no_flex(job)):
        yield Mistake(ATTENTION, f"flex_attention {reason}", None, SDPA)
    if asked not in FLASH:
        return
    module, package, least = FLASH[asked]
    cuda = [one for one in devices if one.capability is not None]
    if not cuda:
        place = "cpu" if job.device.kind == "cpu" else ", ".join(one.name for one in devices) or "cpu"
        yield Mistake(ATTENTION, f"{asked} requires an NVIDIA GPU, but this job runs on {place}", None, SDPA)
        return
    if (lacking := _lacking(module, package)) is not None:
        hint = f"install {package} (built for this torch and CUDA), or {SDPA}; kernels from the Hub are not used"
        yield Mistake(ATTENTION, f"{asked} requires the package {package}{lacking}", None, hint)
    for one in cuda:
        if one.capability is not None and one.capability < least:
            has, needs = (".".join(map(str, number)) for number in (one.capability, least))
            problem = f"{asked} requires compute capability {needs}, but {one.name} ({one.model}) has {has}"
            yield Mistake(ATTENTION, problem, None, SDPA)
    if job.precision.name == "fp32":
        yield Mistake(ATTENTION, f"{asked} does not support precision=fp32", None, f"{SDPA}, or precision=bf16")


def _why_no_flex(job: Job) -> str | None:
    """Return why flex_attention is unavailable, worded to follow "flex_attention"; None if it is available."""
    if job.device.kind == "cpu" or not accelerators.names():
        return "requires a GPU, but this job runs on the CPU"
    return None if find_spec("triton") else "requires Triton, which is not installed"


def _lacking(module: str, package: str) -> str | None:
    """Return why a package is unusable, worded to follow its name; None if it is usable."""
    if find_spec(module) is None:
        return ", which is not installed"
    try:
        version(package)
    except PackageNotFoundError:  # another package with a module of that name
        return f"; the installed module {module} belongs to another package"
    return None


# ---------------------------------------------------------------- after loading
def placed(model: Any) -> dict[str, list[str]]:
    """Return the modules of a model by device; empty if all are on one device.

    Consecutive layers are one entry, such as `model.layers.0-15`.
    """
    placement = {str(module): _name(device) for module, device in (getattr(model, "hf_device_map", None) or {}).items()}
    devices = list(dict.fromkeys(placement.values()))
    if len(devices) < 2:
        return {}
    return {device: list(_ranges([name for name, at in placement.items() if at == device])) for device in devices}


def devices_of(model: Any) -> list[str]:
    """Return the devices that hold parts of a model."""
    placement = getattr(model, "hf_device_map", None) or {"": model.device}
    return sorted({_name(device) for device in placement.values()})


def remarks(placement: Mapping[str, list[str]]) -> tuple[Mistake, ...]:
    """Return a warning if a part of a model is on the CPU or the disk because it does not fit."""
    slow = [device for device in ("cpu", "disk") if device in placement]
    if not slow or len(placement) < 2:
        return ()
    parts = " and ".join(f"{', '.join(placement[device])} on {device}" for device in slow)
    slowness = "copying these layers to the accelerator for every token is slow"
    problem = f"the model does not fit on the accelerators: {parts}; {slowness}"
    return (Mistake("device", problem, None, "use a lower precision or a smaller model"),)


def _name(device: Any) -> str:
    """Return torch's name of a device in accelerate's `device_map`, where accelerators are numbers."""
    return f"{accelerators.kind()}:{device}" if isinstance(device, int) else str(device)


def _ranges(modules: list[str]) -> Iterator[str]:
    """Yield module names; merge names with consecutive trailing numbers into a range."""
    first = last = None
    prefix = ""
    for module in [*modules, ""]:
        match = re.fullmatch(r"(.*?\.)(\d+)", module)
        if match and last is not None and match[1] == prefix and int(match[2]) == last + 1:
            last += 1
            continue
        if first is not None:
            yield f"{prefix}{first}" if first == last else f"{prefix}{first}-{last}"
        first = last = int(match[2]) if match else None
        prefix = match[1] if match else ""
        if not match and module:
            yield module
