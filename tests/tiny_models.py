"""Tiny models with random weights, saved like checkpoints from the Hub; their output is nonsense, but deterministic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXT = [
    "Question: What is electroencephalography?\n\nAnswer: Let's think step by step.",
    "The number three in French is trois. What is the number 2 in french?",
    "A quick brown fox jumps over the lazy dog, while signals of the brain are measured.",
    "def add(a, b):\n    return a + b\n",
] * 4


def byte_level_tokenizer(special: tuple[str, ...] = ("<|endoftext|>",), adds_bos: bool = False) -> Any:
    """Return a byte-level BPE tokenizer with 400 tokens: the first special one is BOS, the last EOS and padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{special[0]} $A", special_tokens=[(special[0], tokenizer.token_to_id(special[0]))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=special[0],
        eos_token=special[-1],
        pad_token=special[-1],
        clean_up_tokenization_spaces=False,
    )


def sentencepiece_tokenizer(legacy: bool) -> Any:
    """Return a BPE tokenizer with byte fallback, like Llama 2's tokenizer.json: BOS 1, EOS 2.

    Args:
        legacy: prepend a space to every part of a text, also after special tokens; else only to the whole text.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=450, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def save_with_tokenizer(folder: Path, tokenizer: Any, **config: Any) -> Path:
    """Save a tiny Llama with a `tokenizers.Tokenizer`, and a tokenizer_config.json with these values."""
    import json

    from transformers import PreTrainedTokenizerFast

    named = {"bos_token": "<s>", "eos_token": "</s>"}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)
    save_llama(folder, tokenizer=wrapped)
    tokenizer.save(str(folder / "tokenizer.json"))
    values = {**named, "add_bos_token": True, "add_eos_token": False, **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


def save_gpt2(folder: Path, chat_template: str | None = None, generation: dict[str, Any] | None = None) -> Path:
    """Save a GPT-2 with 2 layers and a context of 128 tokens.

    Args:
        chat_template: if set, the tokenizer adds a BOS to plain text.
        generation: additional values of its generation_config.json.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    special = ("<s>", "</s>") if chat_template else ("<|endoftext|>",)
    tokenizer = byte_level_tokenizer(special, adds_bos=chat_template is not None)
    tokenizer.chat_template = chat_template
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=128,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    return _save(GPT2LMHeadModel(config), tokenizer, folder, generation)


def save_bloom(folder: Path) -> Path:
    """Save a BLOOM with 2 layers, which has attention biases instead of position embeddings."""
    import torch
    from transformers import BloomConfig, BloomForCausalLM

    tokenizer = byte_level_tokenizer()
    config = BloomConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        n_layer=2,
        n_head=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    return _save(BloomForCausalLM(config), tokenizer, folder, None)


def save_llama(folder: Path, window: int | None = None, tokenizer: Any = None, **more: Any) -> Path:
    """Save a Llama with 2 layers, grouped queries and a context of 512 tokens.

    Args:
        window: if set, save a Mistral with this sliding window, in tokens.
        tokenizer: of transformers; default: `byte_level_tokenizer`.
        more: values of its config that replace the defaults here.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    tokenizer = tokenizer or byte_level_tokenizer()
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **more,
    }
    torch.manual_seed(0)
    if window is not None:
        return _save(MistralForCausalLM(MistralConfig(**shape, sliding_window=window)), tokenizer, folder, None)
    return _save(LlamaForCausalLM(LlamaConfig(**shape)), tokenizer, folder, None)


def save_damaged(folder: Path, text: str) -> Path:
    """Save a Llama that returns NaN logits once a sequence contains this text, which is one token; it never writes it.

    The embedding of the token is NaN.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    save_llama(folder, tie_word_embeddings=False)
    (token,) = AutoTokenizer.from_pretrained(folder).encode(text)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight[token] = float("nan")
        model.get_output_embeddings().weight[token] = 0.0
    model.save_pretrained(folder)
    return folder


def save_gpt_neo(folder: Path, window: int) -> Path:
    """Save a GPT-Neo with a layer of global attention, one with this sliding window, and a context of 512 tokens."""
    import torch
    from transformers import GPTNeoConfig, GPTNeoForCausalLM

    tokenizer = byte_level_tokenizer()
    config = GPTNeoConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=512,
        hidden_size=32,
        num_layers=2,
        num_heads=2,
        attention_types=[[["global", "local"], 1]],
        window_size=window,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    return _save(GPTNeoForCausalLM(config), tokenizer, folder, None)


def save_without_eos(folder: Path) -> Path:
    """Save a Llama for which neither its configurations nor its tokenizer name an EOS."""
    import json

    save_llama(folder)
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        values = json.loads((folder / name).read_text(encoding="utf-8"))
        kept = {key: value for key, value in values.items() if key.partition("_")[0] not in ("bos", "eos", "pad")}
        # If config.json lacks the id, transformers assumes 2.
        none = {"bos_token_id": None, "eos_token_id": None} if name == "config.json" else {}
        (folder / name).write_text(json.dumps(kept | none), encoding="utf-8")
    return folder


def save_bart(folder: Path) -> Path:
    """Save the decoder of a BART with 2 layers, whose position embeddings count padding."""
    import torch
    from transformers import BartConfig, BartForCausalLM

    tokenizer = byte_level_tokenizer(("<s>", "<pad>", "</s>"))
    tokenizer.pad_token = "<pad>"
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=2,  # the exporter reads the number of heads of the encoder
        encoder_attention_heads=2,
        decoder_layers=2,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        max_position_embeddings=256,
        is_decoder=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        forced_eos_token_id=None,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    return _save(BartForCausalLM(config), tokenizer, folder, None)


def save_phi3(folder: Path, switch: int) -> Path:
    """Save a Phi-3 with 2 layers and RoPE scaling `longrope`.

    Args:
        switch: number of tokens beyond which it uses the long factors.
    """
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM

    tokenizer = byte_level_tokenizer()
    scaling = {"rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": switch}
    factors = {"short_factor": [1.0] * 8, "long_factor": [1.0 + 0.5 * place for place in range(8)]}
    config = Phi3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8 * switch,
        original_max_position_embeddings=switch,
        rope_parameters={**scaling, **factors},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    return _save(Phi3ForCausalLM(config), tokenizer, folder, None)


def save_zamba2(folder: Path, chunk: int) -> Path:
    """Save a Zamba2 with 3 layers, two of them recurrent.

    Args:
        chunk: number of tokens in a chunk of its scan.
    """
    import torch
    from transformers import Zamba2Config, Zamba2ForCausalLM

    tokenizer = byte_level_tokenizer()
    config = Zamba2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        layers_block_type=["mamba", "hybrid", "mamba"],
        num_attention_heads=2,
        num_key_value_heads=2,
        n_mamba_heads=4,
        mamba_d_state=8,
        adapter_rank=4,
        chunk_size=chunk,
        max_position_embeddings=256,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = Zamba2ForCausalLM(config)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_gptj(folder: Path, added: float = 0.0, token: int = 0) -> Path:
    """Save a GPT-J with 2 layers and a bias in its output layer.

    Args:
        added: what the bias adds to the token's logit.
    """
    import torch
    from transformers import GPTJConfig, GPTJForCausalLM

    tokenizer = byte_level_tokenizer()
    config = GPTJConfig(
        vocab_size=len(tokenizer),
        n_positions=128,
        n_embd=32,
        n_layer=2,
        n_head=2,
        rotary_dim=8,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    model = GPTJForCausalLM(config)
    with torch.no_grad():
        model.lm_head.bias[token] += added
    return _save(model, tokenizer, folder, None)


def _save(model: Any, tokenizer: Any, folder: Path, generation: dict[str, Any] | None) -> Path:
    import torch

    with torch.no_grad():  # larger than the usual initialization, which repeats one token
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    for name, value in (generation or {}).items():
        setattr(model.generation_config, name, value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_sparse_weights(folder: Path, numbers: int) -> None:
    """Write model.safetensors with a tensor of `numbers` float32 numbers, and small ones; it takes no disk space."""
    sizes = [numbers, *[1] * 99]
    ends = [4 * sum(sizes[: number + 1]) for number in range(len(sizes))]
    tensors = {
        f"t{number}": {"dtype": "F32", "shape": [size], "data_offsets": [end - 4 * size, end]}
        for number, (size, end) in enumerate(zip(sizes, ends, strict=True))
    }
    header = json.dumps(tensors).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + ends[-1])
