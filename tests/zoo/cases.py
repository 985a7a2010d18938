"""The compared architectures: for each, a tokenizer, a variation, and values of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SHAPE: Mapping[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
"""Values for all architectures, unless they replace them; None removes one."""
WINDOW = 16
"""Tokens in a sliding window: fewer than in most prompts."""


@dataclass(frozen=True)
class Case:
    """A tiny model.

    Attributes:
        name: the architecture (`model_type`), followed by a word if it has several cases.
        tokenizer: a key of `tokenizer_kinds.KINDS`.
        variation: what is special about it; empty if nothing is.
        config: values of its configuration.
        extra_tokens: number of embeddings without a token.
        not_created: part of the error with which transformers cannot create the model; empty if it can.
    """

    name: str
    tokenizer: str
    variation: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    extra_tokens: int = 0
    not_created: str = ""

    @property
    def model_type(self) -> str:
        return self.name.split()[0]


BYTES, DIGITS = "byte-level BPE", "byte-level BPE, single digits, no pad"
BOS, QWEN = "byte-level BPE, BOS, no pad", "byte-level BPE, NFC, no BOS"
NO_EOS, BARE = "byte-level BPE, BOS, no EOS", "byte-level BPE, no special tokens"
LEGACY, PIECES = "SentencePiece BPE, legacy, no pad", "SentencePiece BPE, no pad"
GEMMA, UNIGRAM = "SentencePiece BPE, no prefix", "Unigram"
WORDPIECE, WORD_ENDS = "WordPiece", "BPE with end-of-word suffixes"


def rope(kind: str, **values: Any) -> dict[str, Any]:
    """Return a RoPE scaling whose original context, 32 tokens, is shorter than some prompts and all answers."""
    scaling = {"rope_type": kind, "rope_theta": 10_000.0, "factor": 8.0, "original_max_position_embeddings": 32}
    return {"rope_parameters": {**scaling, **values}, "max_position_embeddings": 256}


def longrope(**values: float) -> dict[str, Any]:
    factors = {"short_factor": [1.0] * 8, "long_factor": [1.0 + 0.5 * place for place in range(8)]}
    return {**rope("longrope", **factors, **values), "original_max_position_embeddings": 32}


LLAMA3_ROPE = rope("llama3", low_freq_factor=1.0, high_freq_factor=4.0)
SLIDING = {"sliding_window": WINDOW}
ALTERNATING = {"layer_types": ["sliding_attention", "full_attention"], **SLIDING}
WINDOWED = f"sliding window of {WINDOW} tokens"
WINDOWED_LAYER = f"{WINDOWED} in one layer"
DECODER = {
    **{"d_model": 64, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 96},
    **{"decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 96, "is_decoder": True},
    **dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")),
    "num_key_value_heads": None,
}
"""The decoder of an encoder-decoder architecture."""
TIED = {"tie_word_embeddings": True}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
LOCAL_EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
LATENT = {
    **{"q_lora_rank": 32, "kv_lora_rank": 16, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16},
    **{"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "n_shared_experts": 1},
    **{"first_k_dense_replace": 1, "n_group": 2, "topk_group": 1, "num_key_value_heads": 4},
}
"""Attention with latent keys and values, as in DeepSeek's models."""
LINEAR_ATTENTION = {
    **{"layer_types": ["linear_attention", "full_attention"], "head_dim": 16},
    **{"linear_key_head_dim": 16, "linear_value_head_dim": 16},
    **{"linear_num_key_heads": 2, "linear_num_value_heads": 4},
}
MAMBA = {"num_attention_heads": None, "num_key_value_heads": None, "intermediate_size": None}

CASES = [
    Case("afmoe", QWEN, WINDOWED_LAYER, {**ALTERNATING, **EXPERTS, "head_dim": 16, "num_shared_experts": 1}),
    Case("arcee", BOS, "rope scaling yarn", rope("yarn")),
    Case("bart", BYTES, "", DECODER),
    Case("bigbird_pegasus", UNIGRAM, "", {**DECODER, "attention_type": "original_full"}),
    Case("biogpt", WORD_ENDS),
    Case("bitnet", BOS),
    Case("blenderbot", BYTES, "", {**DECODER, "max_position_embeddings": 256}),
    Case("blenderbot-small", WORD_ENDS, "", DECODER),
    Case("bloom", BYTES, "more embeddings than tokens", extra_tokens=62),
    Case("codegen", DIGITS, "", {"rotary_dim": 8}),
    Case("cohere", BOS, "tied embeddings", TIED),
    Case("cohere2", BOS, WINDOWED_LAYER, ALTERNATING),
    Case("dbrx", BYTES, "experts as wide as the model", {  # transformers fails with others
        "ffn_config": {"hidden_size": 64, "ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2},
        "attn_config": {"clip_qkv": 8.0, "kv_n_heads": 2, "rope_theta": 10_000.0},
    }),
    Case("deepseek_v2", QWEN, "", LATENT),
    Case("deepseek_v3", QWEN, "rope scaling yarn", {**LATENT, **rope("yarn")}),
    Case("exaone4", DIGITS, WINDOWED_LAYER, ALTERNATING),
    Case("falcon", BYTES),
    Case("falcon alibi", BYTES, "ALiBi", {"alibi": True}),
    Case("falcon_mamba", BYTES, "", MAMBA),
    Case("gemma", GEMMA, "tied embeddings", {**TIED, "head_dim": 16}),
    Case("gemma2", GEMMA, WINDOWED_LAYER, {**ALTERNATING, "head_dim": 16}),
    Case("gemma3_text", GEMMA, WINDOWED_LAYER, {**ALTERNATING, "head_dim": 16}),
    Case("gemma3n_text", GEMMA, WINDOWED_LAYER, {
        **ALTERNATING, "head_dim": 16, "num_kv_shared_layers": 0, "laurel_rank": 8, "hidden_size_per_layer_input": 16,
    }),
    Case("gemma4_text", GEMMA, WINDOWED_LAYER, {
        **ALTERNATING, "head_dim": 16, "global_head_dim": 32, "hidden_size_per_layer_input": 16,
    }),
    Case("glm", QWEN, "", {"head_dim": 16}),
    Case("glm4", QWEN, "", {"head_dim": 16}),
    Case("gpt2", BYTES),
    Case("gpt_bigcode", DIGITS),
    Case("gpt_neo", BYTES, f"local attention, {WINDOW} tokens, in one layer", {
        "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": WINDOW,
        "num_hidden_layers": None, "num_attention_heads": None,
    }),
    Case("gpt_neox", DIGITS, "rope scaling dynamic", rope("dynamic", partial_rotary_factor=0.25)),
    Case("gpt_neox_japanese", WORDPIECE),
    Case("gpt_oss", BOS, WINDOWED_LAYER, {**ALTERNATING, **LOCAL_EXPERTS, "head_dim": 16, **rope("yarn")}),
    Case("gptj", BYTES, "", {"rotary_dim": 8}),
    Case("granite", NO_EOS, "no EOS"),
    Case("granitemoe", DIGITS, "rope scaling linear", {**LOCAL_EXPERTS, **rope("linear")}),
    Case("granitemoehybrid", DIGITS, "", {
        **LOCAL_EXPERTS, "layer_types": ["mamba", "attention"], "mamba_n_heads": 8, "mamba_d_head": 16,
        "mamba_d_state": 16, "mamba_chunk_size": 16, "shared_intermediate_size": 48,
    }),
    Case("hunyuan_v1_dense", QWEN, "", {"head_dim": 16}),
    Case("lfm2", BOS, "", {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}),
    Case("lfm2_moe", BOS, "", {**EXPERTS, "layer_types": ["conv", "full_attention"], "num_dense_layers": 1}),
    Case("llama", LEGACY),
    Case("llama dynamic", PIECES, "rope scaling dynamic", rope("dynamic")),
    Case("llama linear", PIECES, "rope scaling linear", rope("linear")),
    Case("llama llama3", BOS, "rope scaling llama3", LLAMA3_ROPE),
    Case("llama no-eos", BARE, "no EOS"),
    Case("llama4", BOS, not_created="no attribute 'attn_scale'"),
    Case("llama4_text", BOS, f"attention in chunks of {WINDOW} tokens", {
        **LOCAL_EXPERTS, "intermediate_size_mlp": 96, "head_dim": 16, "attention_chunk_size": WINDOW,
        "no_rope_layer_interval": 2,
    }),
    Case("mamba", DIGITS, "", MAMBA),
    Case("marian", UNIGRAM, "", DECODER),
    Case("mbart", UNIGRAM, "", DECODER),
    Case("mistral", PIECES, WINDOWED, SLIDING),
    Case("mistral legacy", LEGACY, "rope scaling yarn", rope("yarn")),
    Case("mixtral", PIECES, WINDOWED, {**LOCAL_EXPERTS, **SLIDING}),
    Case("mpt", BYTES, "", {
        "d_model": 64, "n_layers": 2, "n_heads": 4, "max_seq_len": 512, "expansion_ratio": 2,
        "hidden_size": None, "num_hidden_layers": None, "num_attention_heads": None, "max_position_embeddings": None,
    }),
    Case("olmo", DIGITS),
    Case("olmo2", DIGITS),
    Case("opt", BYTES, "", {"ffn_dim": 96, "word_embed_proj_dim": 64}),
    Case("pegasus", UNIGRAM, "", DECODER),
    Case("persimmon", UNIGRAM),
    Case("phi", BYTES, "more embeddings than tokens", {"num_key_value_heads": 4}, extra_tokens=62),
    Case("phi3", LEGACY, WINDOWED, SLIDING),
    Case("phi3 longrope", LEGACY, "rope scaling longrope", longrope()),
    Case("phimoe", LEGACY, WINDOWED, {**LOCAL_EXPERTS, **SLIDING}),
    Case("phimoe longrope", LEGACY, "rope scaling longrope", {
        **LOCAL_EXPERTS, **longrope(short_mscale=1.0, long_mscale=1.2),
    }),
    Case("qwen2", QWEN, "more embeddings than tokens", extra_tokens=62),
    Case("qwen2 window", QWEN, WINDOWED_LAYER, {**SLIDING, "use_sliding_window": True, "max_window_layers": 1}),
    Case("qwen2_moe", QWEN, "", {**EXPERTS, "shared_expert_intermediate_size": 48}),
    Case("qwen3", QWEN, "rope scaling yarn", {"head_dim": 16, **rope("yarn")}),
    Case("qwen3_5_text", QWEN, "", LINEAR_ATTENTION),
    Case("qwen3_5_moe_text", QWEN, "", {**LINEAR_ATTENTION, **EXPERTS, "shared_expert_intermediate_size": 48}),
    Case("qwen3_moe", QWEN, "", {**EXPERTS, "head_dim": 16}),
    Case("qwen3_next", QWEN, "", {**LINEAR_ATTENTION, **EXPERTS, "shared_expert_intermediate_size": 48}),
    Case("smollm3", BOS, "one layer without RoPE", {"no_rope_layers": [1, 0]}),
    Case("stablelm", DIGITS, "rope scaling linear", rope("linear", partial_rotary_factor=0.25)),
    Case("starcoder2", DIGITS, WINDOWED, SLIDING),
    Case("xglm", UNIGRAM, "", {"d_model": 64, "num_layers": 2, "attention_heads": 4, "ffn_dim": 96}),
    Case("zamba2", PIECES, "Mamba-2 scan in chunks of 256 tokens", {
        "num_hidden_layers": 3, "layers_block_type": ["mamba", "hybrid", "mamba"], "n_mamba_heads": 4,
        "mamba_d_state": 8, "num_key_value_heads": 4, "adapter_rank": 8,
    }),
]  # fmt: skip
