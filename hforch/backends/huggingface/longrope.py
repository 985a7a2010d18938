"""Generate correctly across the switch of RoPE scaling `longrope`.

Such a model uses other RoPE frequencies if a sequence is longer than its original context. The keys of earlier tokens
must then be computed again. transformers drops them without reading the earlier tokens again, optimum-intel raises a
TypeError, and for most architectures both keep the old keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any


@contextmanager
def recomputing(model: Any, switch: int | None) -> Iterator[None]:
    """Let `model.generate` read all tokens again when a sequence becomes longer than `switch`, while the block runs."""
    if switch is None:
        yield
        return
    own = model.prepare_inputs_for_generation

    @wraps(own)  # transformers reads the signature
    def prepare(input_ids: Any, next_sequence_length: int | None = None, **inputs: Any) -> Any:
        import torch

        before = _tokens(model, inputs.get("past_key_values"))
        if 0 < before <= switch < input_ids.shape[1]:
            inputs["past_key_values"] = next_sequence_length = None
        elif before and "cache_position" not in inputs and hasattr(model, "_past_length"):  # optimum-intel needs it
            inputs["cache_position"] = torch.tensor([before])
        return own(input_ids, next_sequence_length=next_sequence_length, **inputs)

    model.prepare_inputs_for_generation = prepare
    try:
        yield
    finally:
        del model.prepare_inputs_for_generation


def _tokens(model: Any, cache: Any) -> int:
    """Return the number of tokens in a KV cache of transformers, or in that of an optimum-intel model."""
    if not cache:
        return 0
    return int(cache.get_seq_length()) if hasattr(cache, "get_seq_length") else int(model._get_past_length(cache))
