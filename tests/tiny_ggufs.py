"""Tiny Llama models that memorized a few sentences, as GGUF files."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hforch.models.gguf_tokenizer import ROUND_TRIP, build
from hforch.models.likelihood import SENTENCES

SPECIALS = ("<|pad|>", "<|bos|>", "<|eos|>", "<tool>")
WIDTH, LAYERS, HEADS, KV_HEADS, INNER = 64, 2, 4, 2, 128


@cache
def vocabulary() -> tuple[list[str], list[str]]:
    """Return tokens and merges of a byte-level BPE trained on the sentences, special tokens first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        show_progress=False,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([*SENTENCES, *ROUND_TRIP], trainer)
    state = json.loads(tokenizer.to_str())["model"]
    tokens = [token for token, _ in sorted(state["vocab"].items(), key=lambda item: item[1])]
    return tokens, [" ".join(merge) for merge in state["merges"]]


def fields(pre: str = "gpt-2", **changes: Any) -> dict[str, Any]:
    """Return the tokenizer metadata of a GGUF file, with changes."""
    tokens, merges = vocabulary()
    types = [3, 3, 3, 4] + [1] * (len(tokens) - 4)
    made: dict[str, Any] = {"model": "gpt2", "pre": pre, "tokens": tokens, "merges": merges, "token_type": types}
    made |= {"bos_token_id": 1, "eos_token_id": 2, "padding_token_id": 0, "add_bos_token": False, **changes}
    return {f"tokenizer.ggml.{key}": value for key, value in made.items()}


def write(path: Path, pre: str = "gpt-2", change: Callable[[str, Any], Any] | None = None, **changes: Any) -> Path:
    """Write the model as a GGUF file; it is trained once for each `pre`."""
    tensors = {name: change(name, array) if change else array for name, array in _trained(pre).items()}
    _write(path, fields(pre, **changes), tensors)
    return path


@cache
def _trained(pre: str) -> dict[str, Any]:
    return _train(fields(pre))


def _train(fields: dict[str, Any]) -> dict[str, Any]:
    """Train a tiny Llama that memorizes the sentences; return arrays by GGUF tensor name."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = build(fields)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=256,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    texts = [[1, *tokenizer(text, add_special_tokens=False)["input_ids"]] for text in SENTENCES]
    length = max(map(len, texts))
    ids = torch.tensor([text + [0] * (length - len(text)) for text in texts])
    labels = torch.tensor([text + [-100] * (length - len(text)) for text in texts])
    for _ in range(120):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.5
    return _named(model.state_dict())


def _named(state: dict[str, Any]) -> dict[str, Any]:
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    names |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    names |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    tensors = {
        "token_embd.weight": state["model.embed_tokens.weight"],
        "output_norm.weight": state["model.norm.weight"],
    }
    for layer in range(LAYERS):
        for theirs, ours in names.items():
            tensor = state[f"model.layers.{layer}.{theirs}.weight"]
            heads = {"attn_q": HEADS, "attn_k": KV_HEADS}.get(ours)
            if heads:  # llama.cpp interleaves the halves that RoPE pairs
                tensor = tensor.reshape(heads, 2, -1, WIDTH).swapaxes(1, 2).reshape(tensor.shape)
            tensors[f"blk.{layer}.{ours}.weight"] = tensor
    return {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}


def _write(path: Path, fields: dict[str, Any], tensors: dict[str, Any]) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(path, fields.pop("tokenizer.ggml.architecture", "llama"))
    writer.add_name("tiny")
    writer.add_file_type(0)
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_tokenizer_model(fields["tokenizer.ggml.model"])
    writer.add_tokenizer_pre(fields["tokenizer.ggml.pre"])
    writer.add_token_list(fields["tokenizer.ggml.tokens"])
    writer.add_token_merges(fields["tokenizer.ggml.merges"])
    writer.add_token_types(fields["tokenizer.ggml.token_type"])
    writer.add_bos_token_id(fields["tokenizer.ggml.bos_token_id"])
    writer.add_eos_token_id(fields["tokenizer.ggml.eos_token_id"])
    writer.add_pad_token_id(fields["tokenizer.ggml.padding_token_id"])
    writer.add_add_bos_token(fields["tokenizer.ggml.add_bos_token"])
    for name, array in tensors.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
