"""Build the tokenizer of a GGUF file from its metadata.

transformers selects a tokenizer by architecture, which is wrong for many files (for SmolLM2: bos and eos swapped, a
prefix added, spaces lost). The metadata is exact: `tokenizer.ggml.model` is the type of the tokenizer, and
`tokenizer.ggml.pre` names the pre-tokenizer. Only known pre-tokenizers are built; others raise an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hforch.errors import ModelError

CONTROL, USER_DEFINED = 3, 4  # token types
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
AFTER_DIGITS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_SPLIT = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + AFTER_DIGITS
QWEN2_SPLIT = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + AFTER_DIGITS

ROUND_TRIP = (
    "Plain English, with punctuation: it isn't hard (is it?).",
    "Emoji 🙂👩‍🔬🇨🇭 and a combining one: ❤️",
    "汉字と仮名、한국어。",
    "Windows lines\r\nand\r\n\r\nmore\r\n",
    "def f(x):\n\tif x > 0:\n\t\treturn {'a': [x ** 2]}  # code\n",
    "Digits 0 1 12 123 1234567890 3.14159 1,000,000",
    "   leading spaces",
    "trailing spaces   ",
    "many    spaces \t between\n\n\n   lines",
    "Ünïcödé, ελληνικά, العربية, русский — “quotes” … §",
)


@dataclass(frozen=True)
class Cutting:
    """The options of a byte-level pre-tokenizer, which may split by a regular expression or into single digits."""

    split: str | None = None
    single_digits: bool = False
    normalize: bool = False
    ignore_merges: bool = False
    add_bos: bool = False


_DIGITS, _LLAMA3 = Cutting(single_digits=True), Cutting(LLAMA3_SPLIT, ignore_merges=True, add_bos=True)
CUTTINGS = {
    **dict.fromkeys(("gpt-2", "gpt2", "phi-2"), Cutting()),
    **dict.fromkeys(("smollm", "starcoder", "refact", "codeshell"), _DIGITS),
    "command-r": Cutting(single_digits=True, normalize=True),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3"), _LLAMA3),
    "qwen2": Cutting(QWEN2_SPLIT, normalize=True),
}


def build(fields: dict[str, Any]) -> Any:
    """Return a PreTrainedTokenizerFast from `tokenizer.*` metadata, with special tokens and chat template.

    Raises:
        ModelError: the tokenizer's type or pre-tokenizer is unknown, or the metadata is inconsistent.
    """
    from transformers import PreTrainedTokenizerFast

    cutting = _cutting(fields)
    tokens: list[str] = fields.get("tokenizer.ggml.tokens", [])
    special = {
        name: tokens[index]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
        if (index := token_id(fields, key)) is not None
    }
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_byte_level_bpe(fields, cutting, tokens),
        clean_up_tokenization_spaces=False,
        **{f"{name}_token": token for name, token in special.items()},
    )
    tokenizer.chat_template = fields.get("tokenizer.chat_template")
    context = fields.get(f"{fields.get('general.architecture')}.context_length")
    if context:
        tokenizer.model_max_length = int(context)
    return tokenizer


def token_id(fields: dict[str, Any], name: str) -> int | None:
    """Return the id of `bos`, `eos`, `unknown`, `padding`, `eot` ..., or None if it is not set or out of range."""
    index = fields.get(f"tokenizer.ggml.{name}_token_id")
    tokens = fields.get("tokenizer.ggml.tokens", [])
    return int(index) if index is not None and 0 <= int(index) < len(tokens) else None


def check_round_trips(tokenizer: Any) -> None:
    """Raise ModelError unless decoding restores ROUND_TRIP and a text with every special token."""
    specials = " ".join(dict.fromkeys(tokenizer.all_special_tokens))
    for text in (*ROUND_TRIP, f"special {specials} tokens"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        back = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if back != text:
            raise ModelError(f"The file's tokenizer loses text: {text!r} is decoded as {back!r}.")


def _cutting(fields: dict[str, Any]) -> Cutting:
    kind, pre = fields.get("tokenizer.ggml.model"), fields.get("tokenizer.ggml.pre")
    way_out = (
        "Use the original checkpoint: download its safetensors and tokenizer.json (or save them with transformers), "
        "and set model=local model.path=DIR."
    )
    if kind != "gpt2":
        name = {None: "no tokenizer", "llama": "a SentencePiece tokenizer (llama)"}.get(kind, f"a {kind} tokenizer")
        raise ModelError(f"The file has {name}; only byte-level BPE (gpt2) can be converted. {way_out}")
    if pre not in CUTTINGS:
        said = "does not name its pre-tokenizer" if pre in (None, "default") else f"uses the pre-tokenizer {pre!r}"
        raise ModelError(f"The file {said} (tokenizer.ggml.pre); supported: {', '.join(CUTTINGS)}. {way_out}")
    return CUTTINGS[pre]


def _byte_level_bpe(fields: dict[str, Any], cutting: Cutting, tokens: list[str]) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    vocabulary = {token: index for index, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens) or not tokens:
        raise ModelError(f"The file's tokenizer has {len(tokens)} tokens, of which {len(vocabulary)} are distinct.")
    merges = [tuple(merge.split(" ", 1)) for merge in fields.get("tokenizer.ggml.merges", [])]
    try:
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=cutting.ignore_merges))
    except Exception as error:  # the library raises a bare Exception
        raise ModelError(f"The file's tokenizer is inconsistent: {error}.") from error
    if cutting.normalize:
        tokenizer.normalizer = normalizers.NFC()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cutting.split is None)
    if cutting.split:
        first = pre_tokenizers.Split(Regex(cutting.split), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, byte_level])
    elif cutting.single_digits:
        first = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, byte_level])
    else:
        tokenizer.pre_tokenizer = byte_level
    tokenizer.decoder = decoders.ByteLevel()
    types = fields.get("tokenizer.ggml.token_type", [])
    for token, kind in zip(tokens, types, strict=False):
        if kind in (CONTROL, USER_DEFINED):
            tokenizer.add_tokens([AddedToken(token, special=kind == CONTROL, normalized=False)])
    post = processors.ByteLevel(trim_offsets=False)
    template = _template(fields, cutting, tokens)
    tokenizer.post_processor = processors.Sequence([post, template]) if template else post
    return tokenizer


def _template(fields: dict[str, Any], cutting: Cutting, tokens: list[str]) -> Any:
    """Return a post-processor that adds bos and eos as the file specifies, or None if it adds neither."""
    from tokenizers.processors import TemplateProcessing

    bos, eos = token_id(fields, "bos"), token_id(fields, "eos")
    before = [bos] if bos is not None and fields.get("tokenizer.ggml.add_bos_token", cutting.add_bos) else []
    after = [eos] if eos is not None and fields.get("tokenizer.ggml.add_eos_token", False) else []
    if not before and not after:
        return None
    single = [*(tokens[index] for index in before), "$A", *(tokens[index] for index in after)]
    pair = [*single, *(f"{piece}:1" if piece != "$A" else "$B:1" for piece in single)]
    specials = [(tokens[index], index) for index in dict.fromkeys((*before, *after))]
    return TemplateProcessing(single=single, pair=pair, special_tokens=specials)
