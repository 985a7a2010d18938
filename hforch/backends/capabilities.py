"""Capabilities and requirements of a backend for one job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hforch.config.schema import Job
from hforch.generation.grammar import unsupported
from hforch.models.estimate import Needs

Lack = Literal["token_ids", "tokenizer", "logits", "fingerprint", "memory"]


@dataclass(frozen=True)
class Batching:
    """The batching of a backend.

    Attributes:
        max_batch_size: maximum number of inputs that the model processes at the same time.
        key: config key that sets `max_batch_size`.
        max_in_flight: maximum number of inputs submitted to the engine together.
        is_continuous: whether a waiting input replaces a finished one in the running batch. If so, inputs are submitted
            in order; otherwise inputs of similar length form a padded batch.
        keeps_prompts: whether prompts reuse the KV cache of earlier prompts with the same prefix.
    """

    max_batch_size: int
    key: str
    max_in_flight: int
    is_continuous: bool = False
    keeps_prompts: bool = False


def padded_batches(job: Job) -> Batching:
    """Return the batching of a backend whose batches of runtime.batch_size prompts are padded to the longest one."""
    size = job.runtime.batch_size
    return Batching(size, "runtime.batch_size", size)


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a backend for one job.

    Attributes:
        needs: requirements for weights and memory.
        batching: how inputs are batched.
        computes_in: `bf16` or `fp16` if the job computes in it, which some CPUs emulate; None for other precisions, or
            if it is not known before the model is loaded.
        ignores: config paths without effect; they are excluded from the load key and the job id.
        lacks: missing features, with the reason for each. `memory` is missing if the model runs in another process or
            on another machine, where its memory cannot be measured.
        has_torch_devices: whether the backend runs on torch's accelerators, which report their free memory.
        formats_chat: whether the backend formats chat messages itself; None: it uses the model's chat template.
        unenforced: returns a message about the parts of a JSON Schema that cannot be enforced; None if all can.
    """

    needs: Needs
    batching: Batching
    ignores: tuple[str, ...]
    lacks: Mapping[Lack, str] = field(default_factory=dict)
    computes_in: Literal["bf16", "fp16"] | None = None
    has_torch_devices: bool = False
    formats_chat: bool | None = None
    unenforced: Callable[[Mapping[str, Any]], str | None] = unsupported
