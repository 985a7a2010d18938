"""What a backend can do for a job and what it needs: all that others ask of it, besides loading and generating."""

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
    """How inputs share the model.

    Attributes:
        max_batch_size: inputs that go through the model at the same time, at most.
        key: the key of the configuration that sets it.
        max_in_flight: inputs that are handed to the engine together, at most.
        is_continuous: whether the next input takes the place of one that has ended. Inputs are handed over in their
            order then; otherwise those of like length share a batch, which is padded.
        keeps_prompts: whether the KV cache of a prompt is used for later ones that begin alike.
    """

    max_batch_size: int
    key: str
    max_in_flight: int
    is_continuous: bool = False
    keeps_prompts: bool = False


def padded_batches(job: Job) -> Batching:
    """Return the batching of an engine that takes batches of runtime.batch_size, each padded to its longest prompt."""
    size = job.runtime.batch_size
    return Batching(size, "runtime.batch_size", size)


@dataclass(frozen=True)
class Capabilities:
    """Capabilities of a backend for one job.

    Attributes:
        needs: weights and memory.
        batching: how inputs share the model.
        ignores: config paths without effect; they are no part of load key and job id.
        lacks: the reason for each thing that this backend does not have. `memory` is that of the model, which cannot
            be measured where it runs elsewhere.
        has_torch_devices: whether it runs on torch's accelerators, whose free memory can be asked for.
        unenforced: returns what of a JSON Schema answers cannot be held to, for people; None if they can.
    """

    needs: Needs
    batching: Batching
    ignores: tuple[str, ...]
    lacks: Mapping[Lack, str] = field(default_factory=dict)
    has_torch_devices: bool = False
    unenforced: Callable[[Mapping[str, Any]], str | None] = unsupported
