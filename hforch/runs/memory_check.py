"""Check before loading whether a job's model fits into the memory of its device, and suggest what would fit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from math import isfinite
from typing import TYPE_CHECKING, Any

from hforch.backends.base import capabilities
from hforch.config.schema import Job
from hforch.errors import HforchError, Mistake
from hforch.inputs import Input
from hforch.machine import accelerators
from hforch.machine.accelerators import Accelerator
from hforch.machine.processor import memory
from hforch.models.estimate import Estimate, estimate, smaller_precisions
from hforch.models.sources import local_files
from hforch.models.tokenizers import open_tokenizer, tokenizing
from hforch.prompts import build_prompt, variables_of

if TYPE_CHECKING:
    from pathlib import Path

CHARACTERS = 3.0  # characters per token without a tokenizer: low, so that the number of tokens is overestimated
MANY = 100  # maximum number of inputs rendered to find the longest prompt; longer raw inputs come first


def estimate_before(job: Job, inputs: Sequence[Input]) -> Estimate:
    """Estimate the minimum memory that a job needs, without querying devices.

    If the weights take only a small part of the memory, prompts are not tokenized and the KV cache is not included.
    """
    if needs_devices([job]):
        return estimate_job(job, inputs)
    rough = estimate(job, capabilities(job).needs, 0, 0)
    return rough if _is_far_below(rough, device_memory(job, [])) else estimate_job(job, inputs)


def _is_far_below(rough: Estimate, room: DeviceMemory | None) -> bool:
    return room is None or (rough.memory_mb or 0.0) * 4 < room.mb


def estimate_job(job: Job, inputs: Sequence[Input]) -> Estimate:
    """Estimate the minimum memory that a job needs."""
    folder = local_files(job.model).folder
    beams = job.generation.num_beams or 1
    able = capabilities(job)
    return estimate(
        job, able.needs, longest_sequence(job, inputs, folder), min(able.batching.max_batch_size, len(inputs)) * beams
    )


def longest_sequence(job: Job, inputs: Sequence[Input], folder: Path | None) -> int:
    """Return the number of tokens of the longest prompt plus the longest possible answer."""
    template = build_prompt(job.prompt)
    if len(inputs) > MANY:
        inputs = nlargest(MANY, inputs, key=lambda each: len(str(each.item)))
    texts = [
        template.invoke(variables_of(each.item, job.prompt, template.input_variables)).to_string() for each in inputs
    ]
    text = max(texts, key=len, default="")
    new = job.generation.max_new_tokens or job.generation.max_length or 0
    if folder is not None and (folder / "tokenizer.json").is_file():
        with suppress(HforchError), tokenizing():  # errors in the tokenizer are reported when it is loaded
            return len(_tokenizer(folder / "tokenizer.json").encode(text).ids) + new
    return round(len(text) / CHARACTERS) + new


@lru_cache(maxsize=4)
def _tokenizer(file: Path) -> Any:
    return open_tokenizer(file)


def memory_problem(job: Job, inputs: Sequence[Input]) -> Mistake | None:
    """Return an error if a job's model does not fit into the memory of this process's devices, else None.

    Call it only in the process that will load the model, since it may initialize accelerators. If the weights take
    only a small part of the memory, prompts are not tokenized.
    """
    if job.runtime.memory_check == "off" or not _has_limits(job):
        return None
    devices = devices_for([job])
    room, rough = device_memory(job, devices), estimate(job, capabilities(job).needs, 0, 0)
    if _is_far_below(rough, room):
        return None
    return too_large(job, estimate_job(job, inputs), devices)


def too_large(job: Job, expected: Estimate, devices: Sequence[Accelerator]) -> Mistake | None:
    """Return an error if a job needs more memory than its device has, else None.

    Args:
        job: the job.
        expected: the estimated minimum memory that it needs.
        devices: the accelerators that it may use, with their free memory.
    """
    if expected.memory_mb is None or job.runtime.memory_check == "off":
        return None
    room = device_memory(job, devices)
    if room is None or expected.memory_mb <= room.mb:
        return None
    problem = f"{_sizes(expected)} do not fit into {room.words}"
    fits = _what_would_fit(job, expected, room.mb) or "use a lower precision, a smaller batch or a smaller model"
    return Mistake("model", problem, None, f"{fits}; set runtime.memory_check=warn to try anyway")


def spread(job: Job, expected: Estimate, devices: Sequence[Accelerator]) -> Mistake | None:
    """Return a warning if a model does not fit on its accelerators, so that part of it will be in CPU memory."""
    free = sum(one.free_mb for one in devices)
    if not (devices and _is_spread(job)) or expected.weights_mb is None or expected.weights_mb <= free:
        return None
    names = ", ".join(one.name for one in devices)
    weights = f"{expected.weights_mb / 1000:.1f} GB of weights, {free / 1000:.1f} GB free on {names}"
    return Mistake("device", f"part of the model will be in CPU memory, which is slow ({weights})")


# ---------------------------------------------------------------- device memory
@dataclass(frozen=True)
class DeviceMemory:
    """The memory available to a model.

    Attributes:
        mb: its size in MB.
        words: a description of it for error messages.
    """

    mb: float
    words: str


def device_memory(job: Job, devices: Sequence[Accelerator]) -> DeviceMemory | None:
    """Return the memory available to a job's model, or None if it is unknown.

    On the CPU this is the total memory of the machine, since the system may free some; on an accelerator, it is
    the memory that is free now.
    """
    machine = memory()["memory_gb"] * 1000
    if job.device.kind == "cpu" or (_has_limits(job) and job.device.kind == "auto" and not devices):
        return DeviceMemory(machine, f"{machine / 1000:.1f} GB of CPU memory")
    if not _has_limits(job):
        return None
    if not _is_spread(job):
        devices = [one for one in devices if one.name.endswith(f":{job.device.index}")]
    if not devices or not all(isfinite(one.free_mb) for one in devices):
        return None
    free = sum(one.free_mb for one in devices)
    if not _is_spread(job):
        (one,) = devices
        return DeviceMemory(free, f"{free / 1000:.1f} GB free on {one.name} (of {one.total_mb / 1000:.1f} GB)")
    names = ", ".join(one.name for one in devices)
    words = f"{free / 1000:.1f} GB free on {names} and {machine / 1000:.1f} GB of CPU memory"
    return DeviceMemory(free + machine, words)


def devices_for(jobs: Sequence[Job]) -> list[Accelerator]:
    """Return the accelerators that the jobs may use, with their free memory; this initializes them."""
    wanted: dict[str, None] = {}
    for job in jobs:
        if job.device.kind == "cpu" or not _has_limits(job):
            continue
        names = accelerators.names()
        wanted |= dict.fromkeys(name for name in names if _is_spread(job) or name.endswith(f":{job.device.index}"))
    return [one for name in wanted if isinstance(one := accelerators.query(name), Accelerator)]


def needs_devices(jobs: Sequence[Job]) -> bool:
    """Return whether a memory check of these jobs has to query the devices of a backend."""
    return any(job.device.kind != "cpu" and _has_limits(job) and job.runtime.memory_check != "off" for job in jobs)


def _has_limits(job: Job) -> bool:
    """Return whether the memory of the job's device can be queried: true for torch's accelerators and the CPU."""
    return job.device.kind == "cpu" or (job.device.kind in ("gpu", "auto") and capabilities(job).has_torch_devices)


def _is_spread(job: Job) -> bool:
    """Return whether accelerate distributes the model over all devices."""
    return job.device.index is None


# ---------------------------------------------------------------- what would fit
def _what_would_fit(job: Job, expected: Estimate, room_mb: float) -> str | None:
    """Return a hint with the largest batch size that fits, or else the highest precision; None if none fits."""
    if size := _batch_that_fits(job, expected, room_mb - (expected.weights_mb or 0.0)):
        return f"{capabilities(job).batching.key}={size} is estimated to fit"
    for name in smaller_precisions(job.precision.name):
        other = job.model_copy(update={"precision": job.precision.model_copy(update={"name": name})})
        needed = estimate(other, capabilities(other).needs, expected.longest, expected.sequences).memory_mb
        if needed is not None and needed <= room_mb:
            return f"precision={name} is estimated to fit"
    return None


def _batch_that_fits(job: Job, expected: Estimate, room_mb: float) -> int:
    """Return the largest batch size whose KV cache takes at most `room_mb`; 0 if none fits or it is unknown."""
    if not expected.kv_mb or not expected.sequences:
        return 0
    if capabilities(job).needs.kv_mb is not None:
        return 0  # the backend allocates a KV cache of fixed size
    each = expected.kv_mb / expected.sequences * (job.generation.num_beams or 1)
    return max(0, int(room_mb / each))


def smaller_batch(job: Job, inputs: Sequence[Input], size: int) -> str:
    """Suggest a batch size to try after a batch of `size` ran out of accelerator memory."""
    expected = estimate_job(job, inputs)
    free = accelerators.free_mb(job.device.index)
    fits = _batch_that_fits(job, expected, free) if free is not None else 0
    return f"{fits} is estimated to fit" if 0 < fits < size else f"such as {max(1, size // 2)}"


def _sizes(expected: Estimate) -> str:
    kv = f" and {expected.kv_mb / 1000:.1f} GB of KV cache" if expected.kv_mb else ""
    return f"{(expected.weights_mb or 0.0) / 1000:.1f} GB of weights{kv}"
