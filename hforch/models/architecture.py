"""Read the properties of a model from config.json, whose key names differ between model families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGROPE = ("longrope", "su")
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
WINDOW_NAMES = ("sliding_window", "window_size", "attention_window_size", "attention_chunk_size")
ROPE_NAMES = ("rope_scaling", "rope_parameters")


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part that describes the language model, which multimodal models have under `text_config`."""
    part = config.get("text_config")
    return part if isinstance(part, Mapping) else config


def context_length(config: Mapping[str, Any]) -> int | None:
    """Return the maximum number of tokens, prompt plus answer, or None if the config does not state it."""
    found = (text_part(config).get(name) for name in CONTEXT_NAMES)
    return next((length for length in found if isinstance(length, int) and length > 0), None)


def attention_lengths(config: Mapping[str, Any]) -> list[int]:
    """Return the numbers of tokens at which the attention changes, ascending: sliding windows and scaled positions."""
    text = text_part(config)
    windows = [
        text.get(name) for name in WINDOW_NAMES if name != "sliding_window" or text.get("use_sliding_window", True)
    ]
    ropes = [text, *(text.get(name) for name in ROPE_NAMES)]
    ropes += [one for rope in ropes[1:] if isinstance(rope, Mapping) for one in rope.values()]  # for each kind of layer
    scaled = [rope.get("original_max_position_embeddings") for rope in ropes if isinstance(rope, Mapping)]
    return sorted({length for length in (*windows, *scaled) if type(length) is int and length > 0})


def vocabulary(config: Mapping[str, Any]) -> int | None:
    """Return the vocabulary size, or None if the config does not state it."""
    found = text_part(config).get("vocab_size")
    return found if isinstance(found, int) else None


def kv_elements(config: Mapping[str, Any]) -> float | None:
    """Return the number of KV cache elements per token (keys and values of all layers), or None if unknown."""
    text = text_part(config)
    layers = text.get("num_hidden_layers") or text.get("n_layer")
    heads = text.get("num_attention_heads") or text.get("n_head")
    hidden = text.get("hidden_size") or text.get("n_embd")
    if not (isinstance(layers, int) and isinstance(heads, int) and isinstance(hidden, int)):
        return None
    if min(layers, heads, hidden) <= 0:
        return None
    groups = text.get("num_key_value_heads") or heads
    head = text.get("head_dim") or hidden / heads
    return float(2 * layers * groups * head) if isinstance(groups, int) and isinstance(head, int | float) else None


def longrope_switch(config: Mapping[str, Any]) -> int | None:
    """Return the number of tokens beyond which a model uses the long factors of RoPE scaling `longrope`.

    None if it has no such scaling.
    """
    text = text_part(config)
    scaling = text.get("rope_parameters") or text.get("rope_scaling")
    if not isinstance(scaling, Mapping):
        return None
    layers = [one for one in scaling.values() if isinstance(one, Mapping)] or [scaling]
    long = [one for one in layers if (one.get("rope_type") or one.get("type")) in LONGROPE]
    named = [one.get("original_max_position_embeddings", text.get("original_max_position_embeddings")) for one in long]
    return min((number for number in named if isinstance(number, int)), default=None)
