"""Whether a job's model fits into the memory of its device, before it is loaded, and what would fit."""

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

CHARACTERS = 3.0  # a token, where there is no tokenizer to ask: fewer than most texts have, so that more are counted
MANY = 100  # inputs are rendered to find the longest prompt, the longest ones as they stand


def estimate_before(job: Job, inputs: Sequence[Input]) -> Estimate:
    """Return what a job will take at least; that of its weights alone, where these are far from filling the memory.

    Rendering and tokenizing the longest prompts is left out then. Devices are not asked.
    """
    if needs_devices([job]):
        return estimate_job(job, inputs)
    rough = estimate(job, capabilities(job).needs, 0, 0)
    return rough if _is_far_below(rough, device_memory(job, [])) else estimate_job(job, inputs)


def _is_far_below(rough: Estimate, room: DeviceMemory | None) -> bool:
    return room is None or (rough.memory_mb or 0.0) * 4 < room.mb


def estimate_job(job: Job, inputs: Sequence[Input]) -> Estimate:
    """What a job will take at least."""
    folder = local_files(job.model).folder
    beams = job.generation.num_beams or 1
    able = capabilities(job)
    return estimate(
        job, able.needs, longest_sequence(job, inputs, folder), min(able.batching.max_batch_size, len(inputs)) * beams
    )


def longest_sequence(job: Job, inputs: Sequence[Input], folder: Path | None) -> int:
    """The tokens of the longest prompt and of its longest answer."""
    template = build_prompt(job.prompt)
    if len(inputs) > MANY:
        inputs = nlargest(MANY, inputs, key=lambda each: len(str(each.item)))
    texts = [
        template.invoke(variables_of(each.item, job.prompt, template.input_variables)).to_string() for each in inputs
    ]
    text = max(texts, key=len, default="")
    new = job.generation.max_new_tokens or job.generation.max_length or 0
    if folder is not None and (folder / "tokenizer.json").is_file():
        with suppress(HforchError), tokenizing():  # what is damaged is told when it is loaded
            return len(_tokenizer(folder / "tokenizer.json").encode(text).ids) + new
    return round(len(text) / CHARACTERS) + new


@lru_cache(maxsize=4)
def _tokenizer(file: Path) -> Any:
    return open_tokenizer(file)


def memory_problem(job: Job, inputs: Sequence[Input]) -> Mistake | None:
    """`too_large` for one job, by the devices of this process; what is far from filling them is not looked at closely.

    Its process may initialize accelerators: it is the one that will load the model.
    """
    if job.runtime.memory_check == "off" or not _has_limits(job):
        return None
    devices = devices_for([job])
    room, rough = device_memory(job, devices), estimate(job, capabilities(job).needs, 0, 0)
    if _is_far_below(rough, room):
        return None
    return too_large(job, estimate_job(job, inputs), devices)


def too_large(job: Job, expected: Estimate, devices: Sequence[Accelerator]) -> Mistake | None:
    """A mistake if what a job takes at least is more than its device has.

    Args:
        devices: the accelerators that it may use, with what is free of them now.
    """
    if expected.memory_mb is None or job.runtime.memory_check == "off":
        return None
    room = device_memory(job, devices)
    if room is None or expected.memory_mb <= room.mb:
        return None
    problem = f"{_sizes(expected)} do not fit into {room.words}"
    fits = _what_would_fit(job, expected, room.mb) or "take a smaller precision, batch or model"
    return Mistake("model", problem, None, f"{fits}; runtime.memory_check=warn tries all the same")


def spread(job: Job, expected: Estimate, devices: Sequence[Accelerator]) -> Mistake | None:
    """Return a warning if accelerators that share a model leave a part of it to the CPU, which is slow."""
    free = sum(one.free_mb for one in devices)
    if not (devices and _is_spread(job)) or expected.weights_mb is None or expected.weights_mb <= free:
        return None
    names = ", ".join(one.name for one in devices)
    weights = f"{expected.weights_mb / 1000:.1f} GB of weights, {free / 1000:.1f} GB free on {names}"
    return Mistake("device", f"a part of the model will be in the CPU's memory, which is slow ({weights})")


# ---------------------------------------------------------------- the memory of its device
@dataclass(frozen=True)
class DeviceMemory:
    """Memory that a model has to fit into, in MB."""

    mb: float
    words: str


def device_memory(job: Job, devices: Sequence[Accelerator]) -> DeviceMemory | None:
    """Return the memory that a job's model has to fit into; None where it is not known.

    On the CPU that is what the machine has, for the system may make room; on an accelerator what is free of it now.
    """
    machine = memory()["memory_gb"] * 1000
    if job.device.kind == "cpu" or (_has_limits(job) and job.device.kind == "auto" and not devices):
        return DeviceMemory(machine, f"the {machine / 1000:.1f} GB of this machine")
    if not _has_limits(job):
        return None
    if not _is_spread(job):
        devices = [one for one in devices if one.name.endswith(f":{job.device.index}")]
    if not devices or not all(isfinite(one.free_mb) for one in devices):
        return None
    free = sum(one.free_mb for one in devices)
    if not _is_spread(job):
        (one,) = devices
        return DeviceMemory(free, f"the {free / 1000:.1f} GB that are free of {one.total_mb / 1000:.1f} on {one.name}")
    names = ", ".join(one.name for one in devices)
    words = f"the {free / 1000:.1f} GB that are free on {names} and the {machine / 1000:.1f} GB of this machine"
    return DeviceMemory(free + machine, words)


def devices_for(jobs: Sequence[Job]) -> list[Accelerator]:
    """Return the accelerators that some jobs are for, with what is free of them; they are initialized by it."""
    wanted: dict[str, None] = {}
    for job in jobs:
        if job.device.kind == "cpu" or not _has_limits(job):
            continue
        names = accelerators.names()
        wanted |= dict.fromkeys(name for name in names if _is_spread(job) or name.endswith(f":{job.device.index}"))
    return [one for name in wanted if isinstance(one := accelerators.list_accelerators(name), Accelerator)]


def needs_devices(jobs: Sequence[Job]) -> bool:
    """Return whether whoever judges the memory of these jobs has to ask a backend for its devices."""
    return any(job.device.kind != "cpu" and _has_limits(job) and job.runtime.memory_check != "off" for job in jobs)


def _has_limits(job: Job) -> bool:
    """Return whether the memory of the job's device can be known: of torch's accelerators, and of the CPU."""
    return job.device.kind == "cpu" or (job.device.kind in ("gpu", "auto") and capabilities(job).has_torch_devices)


def _is_spread(job: Job) -> bool:
    """Return whether accelerate spreads the model over all devices."""
    return job.device.index is None


# ---------------------------------------------------------------- what would fit
def _what_would_fit(job: Job, expected: Estimate, room_mb: float) -> str | None:
    """Return the largest batch that fits, or else the largest precision; None if there is none."""
    if size := _batch_that_fits(job, expected, room_mb - (expected.weights_mb or 0.0)):
        return f"{capabilities(job).batching.key}={size} fits by the estimate"
    for name in smaller_precisions(job.precision.name):
        other = job.model_copy(update={"precision": job.precision.model_copy(update={"name": name})})
        needed = estimate(other, capabilities(other).needs, expected.longest, expected.sequences).memory_mb
        if needed is not None and needed <= room_mb:
            return f"precision={name} fits by the estimate"
    return None


def _batch_that_fits(job: Job, expected: Estimate, room_mb: float) -> int:
    """Return how many inputs may share a batch, if their KV cache is to take no more than `room_mb`; 0 if none fits."""
    if not expected.kv_mb or not expected.sequences:
        return 0
    if capabilities(job).needs.kv_mb is not None:
        return 0  # which is taken at once, however many there are
    each = expected.kv_mb / expected.sequences * (job.generation.num_beams or 1)
    return max(0, int(room_mb / each))


def smaller_batch(job: Job, inputs: Sequence[Input], size: int) -> str:
    """Return which batch size to try after one of `size` has taken more memory than the job's accelerator has."""
    expected = estimate_job(job, inputs)
    free = accelerators.free_mb(job.device.index)
    fits = _batch_that_fits(job, expected, free) if free is not None else 0
    return f"{fits} fits by the estimate" if 0 < fits < size else f"such as {max(1, size // 2)}"


def _sizes(expected: Estimate) -> str:
    kv = f" and a KV cache of {expected.kv_mb / 1000:.1f} GB" if expected.kv_mb else ""
    return f"weights of {(expected.weights_mb or 0.0) / 1000:.1f} GB{kv}"
