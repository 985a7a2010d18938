"""A Llama with random weights and a generated tokenizer: nothing is downloaded."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Any

VOCABULARY = 49_152
BILLION = {  # 1.18 * 10^9 parameters, all read in each step
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 2048,
}
TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def save(folder: Path, shape: dict[str, int], device: str) -> Path:
    """Create the model in bfloat16 on a device, and save it like a checkpoint of the Hugging Face hub."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_level_tokenizer()
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **shape,
    )
    torch.manual_seed(0)
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(default)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def byte_level_tokenizer() -> Any:
    """Return a byte-level BPE tokenizer with a vocabulary of typical size but no merges: each byte is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<|end|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    longer = ("".join(letters) for size in (2, 3, 4) for letters in product(ascii_lowercase, repeat=size))
    pieces += [next(longer) for _ in range(VOCABULARY - len(pieces))]
    tokenizer = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces)}, []))
    tokenizer.add_special_tokens([pieces[0]])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=pieces[0], eos_token=pieces[0], pad_token=pieces[0]
    )
