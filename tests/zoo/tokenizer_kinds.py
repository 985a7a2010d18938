"""Tokenizers of the kinds that causal language models have, trained on a short text.

Each is a `tokenizer.json` and a `tokenizer_config.json`, as in a repository on the Hub. The token ids of the library
`tokenizers` are the reference for all backends.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from .texts import TRAINING

SIZE = 450
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


@dataclass(frozen=True)
class TrainedTokenizer:
    """A trained tokenizer.

    Attributes:
        tokenizer: a `tokenizers.Tokenizer`, which adds the special tokens of a prompt.
        named: special tokens by role, such as {"eos_token": "</s>"}.
        config: other values of tokenizer_config.json.
    """

    tokenizer: Any
    named: dict[str, str]
    config: dict[str, Any] = field(default_factory=dict)

    def id_of(self, role: str) -> int | None:
        """Return the id of the special token with this role; None if it is missing."""
        return self.tokenizer.token_to_id(self.named[role]) if role in self.named else None

    def save(self, folder: Path) -> None:
        self.tokenizer.save(str(folder / "tokenizer.json"))
        values = {**self.named, "clean_up_tokenization_spaces": False, **self.config}
        (folder / "tokenizer_config.json").write_text(json.dumps(values, indent=2), encoding="utf-8")


def gpt2(**named: str) -> TrainedTokenizer:
    """Train byte-level BPE like GPT-2's, which adds no special tokens; `named` replaces its only one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    named = named or dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    return _byte_level(tokenizer, named, {"tokenizer_class": "GPT2Tokenizer"})


def starcoder() -> TrainedTokenizer:
    """Train byte-level BPE with single digits, like the tokenizers of StarCoder and SmolLM2."""
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    named = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    return _byte_level(tokenizer, named, {"tokenizer_class": "GPT2Tokenizer"})


def llama3() -> TrainedTokenizer:
    """Train byte-level BPE that adds a BOS and has no padding token, like Llama 3's."""
    named = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}
    trained = _split_byte_level(LLAMA3, named)
    _add_bos(trained.tokenizer, named["bos_token"])
    return trained


def qwen2() -> TrainedTokenizer:
    """Train byte-level BPE without BOS, with a padding token and NFC normalization, like Qwen2's."""
    trained = _split_byte_level(QWEN2, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"})
    trained.tokenizer.normalizer = normalizers.NFC()
    trained.config["tokenizer_class"] = "Qwen2Tokenizer"
    return trained


def no_eos() -> TrainedTokenizer:
    """Train byte-level BPE that adds a BOS and has no other special token."""
    trained = _split_byte_level(LLAMA3, {"bos_token": "<|begin_of_text|>"})
    _add_bos(trained.tokenizer, "<|begin_of_text|>")
    return trained


def no_special_tokens() -> TrainedTokenizer:
    """Train byte-level BPE without BOS, EOS, padding or unknown token."""
    return _split_byte_level(LLAMA3, {})


def llama2(legacy: bool) -> TrainedTokenizer:
    """Train SentencePiece BPE with byte fallback, BOS and EOS, like Llama 2's.

    Args:
        legacy: prepend a space to every part of a text, also after special tokens; else only to the whole text.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    named = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    _train_bpe(tokenizer, ["<unk>", "<s>", "</s>", *BYTES])
    _add_bos(tokenizer, "<s>")
    config = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "legacy": legacy}
    return TrainedTokenizer(tokenizer, named, config)


def gemma() -> TrainedTokenizer:
    """Train SentencePiece BPE with byte fallback that prepends no space, like Gemma's."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    named = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}
    _train_bpe(tokenizer, ["<pad>", "<eos>", "<bos>", "<unk>", *BYTES])
    _add_bos(tokenizer, "<bos>")
    config = {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True, "add_eos_token": False}
    return TrainedTokenizer(tokenizer, named, config)


def unigram() -> TrainedTokenizer:
    """Train SentencePiece Unigram with NFKC, like the tokenizers of XGLM and T5."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    named = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TRAINING, trainer)
    _add_bos(tokenizer, "<s>")
    return TrainedTokenizer(tokenizer, named, {"tokenizer_class": "PreTrainedTokenizerFast"})


def wordpiece() -> TrainedTokenizer:
    """Train WordPiece with lower-casing, like BERT's, which adds a [CLS] as BOS and has no EOS but a [SEP]."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TRAINING, trainer)
    _add_bos(tokenizer, "[CLS]")
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[CLS]", "eos_token": "[SEP]"}
    return TrainedTokenizer(tokenizer, named, {"tokenizer_class": "PreTrainedTokenizerFast"})


def word_end_bpe() -> TrainedTokenizer:
    """Train BPE whose tokens mark the end of a word, like those of GPT-1 and BioGPT."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=special, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(TRAINING, trainer)
    _add_bos(tokenizer, "</s>")  # BioGPT starts with EOS
    named = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return TrainedTokenizer(tokenizer, named, {"tokenizer_class": "PreTrainedTokenizerFast"})


KINDS: dict[str, Callable[[], TrainedTokenizer]] = {
    "byte-level BPE": gpt2,
    "byte-level BPE, single digits, no pad": starcoder,
    "byte-level BPE, BOS, no pad": llama3,
    "byte-level BPE, NFC, no BOS": qwen2,
    "byte-level BPE, BOS, no EOS": no_eos,
    "byte-level BPE, no special tokens": no_special_tokens,
    "SentencePiece BPE, legacy, no pad": lambda: llama2(legacy=True),
    "SentencePiece BPE, no pad": lambda: llama2(legacy=False),
    "SentencePiece BPE, no prefix": gemma,
    "Unigram": unigram,
    "WordPiece": wordpiece,
    "BPE with end-of-word suffixes": word_end_bpe,
}
"""Functions that train a tokenizer, by the name in the table."""


def _split_byte_level(pattern: str, named: dict[str, str]) -> TrainedTokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=False))
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    return _byte_level(tokenizer, named, {"tokenizer_class": "PreTrainedTokenizerFast"})


def _byte_level(tokenizer: Any, named: dict[str, str], config: dict[str, Any]) -> TrainedTokenizer:
    tokenizer.decoder = decoders.ByteLevel()
    _train_bpe(tokenizer, list(dict.fromkeys(named.values())), pre_tokenizers.ByteLevel.alphabet())
    return TrainedTokenizer(tokenizer, named, config)


def _train_bpe(tokenizer: Any, special: list[str], alphabet: list[str] | None = None) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, special_tokens=special, initial_alphabet=alphabet or [], show_progress=False
    )
    tokenizer.train_from_iterator(TRAINING, trainer)


def _add_bos(tokenizer: Any, bos: str) -> None:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
