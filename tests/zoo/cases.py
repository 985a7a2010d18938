"""The compared architectures: for each, the values of its configuration, a tokenizer and a variation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
"""Values for all architectures, unless they replace them; None removes one."""
GROUPED = {"num_key_value_heads": 2}


@dataclass(frozen=True)
class Case:
    """A tiny model.

    Attributes:
        name: the architecture, or the architecture and its variation if it has several.
        tokenizer: a key of `tokenizer_kinds.KINDS`.
        variation: what is special about it; empty if nothing is.
        config: values of its configuration.
        extra_tokens: number of embeddings without a token.
        model_type: the architecture, if `name` has more words.
    """

    name: str
    tokenizer: str
    variation: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    extra_tokens: int = 0

    @property
    def model_type(self) -> str:
        return self.name.split()[0]


BYTES, DIGITS = "byte-level BPE", "byte-level BPE, single digits, no pad"
BOS, QWEN, BARE = "byte-level BPE, BOS, no pad", "byte-level BPE, NFC, no BOS", "byte-level BPE, no special tokens"
LEGACY, PIECES, GEMMA = (
    "SentencePiece BPE, legacy, no pad",
    "SentencePiece BPE, no pad",
    "SentencePiece BPE, no prefix",
)
UNIGRAM, WORDPIECE, WORD_ENDS = "Unigram", "WordPiece", "BPE with word ends"


def rope(kind: str, **values: Any) -> dict[str, Any]:
    """Return a RoPE scaling whose original context, 32 tokens, is shorter than prompts and answers."""
    scaled = {"rope_type": kind, "rope_theta": 10_000.0, "factor": 8.0, "original_max_position_embeddings": 32, **values}
    return {"rope_parameters": scaled, "max_position_embeddings": 256}


CASES = [
    Case("gpt2", BYTES),
    Case("llama", LEGACY, config=GROUPED),
    Case("llama no-eos", BARE, "no EOS", GROUPED),
    Case("mistral", PIECES, "sliding window of 16 tokens", {**GROUPED, "sliding_window": 16}),
    Case("qwen2", QWEN, "embeddings without tokens", GROUPED, extra_tokens=62),
    Case("gpt_neo", BYTES, "local attention, window of 16 tokens", {
        "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 16,
        "num_hidden_layers": None, "num_attention_heads": None,
    }),
    Case("mpt", BYTES, "", {
        "d_model": 64, "n_layers": 2, "n_heads": 4, "max_seq_len": 512, "expansion_ratio": 2,
        "hidden_size": None, "num_hidden_layers": None, "num_attention_heads": None, "max_position_embeddings": None,
    }),
]  # fmt: skip
