"""Load transformers tokenizers that give the token ids of their own tokenizer.json.

Some tokenizer classes of transformers rebuild the tokenizer from the vocabulary of tokenizer.json and drop its
normalizer, pre-tokenizer or decoder. Token ids then differ from those of the file, whitespace is lost, and saving and
loading the tokenizer can change it again. Therefore probe texts are tokenized by the file and by transformers; if the
results differ, the components of the file are used, with the special tokens that transformers adds at both ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hforch.errors import Mistake, ModelError
from hforch.models.architecture import vocabulary
from hforch.models.json_files import read_object
from hforch.models.tokenizers import loading_tokenizer, open_tokenizer, tokenizing

PROBES = ("The quick brown fox", "  two  spaces,\n\n\ttab 12 345.67 don't é 中文 한국어 😀 <|x|> [Y] end ")
SMALLEST = 32
"""Tokens: a smaller vocabulary is a placeholder if the model's is much larger."""


@dataclass(frozen=True)
class LoadedTokenizer:
    """A transformers tokenizer.

    Attributes:
        is_corrected: whether it uses components of tokenizer.json that its class had replaced.
    """

    tokenizer: Any
    is_corrected: bool = False

    @property
    def remarks(self) -> tuple[Mistake, ...]:
        if not self.is_corrected:
            return ()
        problem = (
            f"transformers' {type(self.tokenizer).__name__} tokenizes differently from the model's tokenizer.json;"
            " hforch uses the file"
        )
        return (Mistake("model", problem),)

    def probe_ids(self) -> list[list[int]]:
        """Return the token ids of the probe texts."""
        return probe_ids(self.tokenizer.encode, self.tokenizer.eos_token)


def load_tokenizer(folder: Path, trust_remote_code: bool) -> LoadedTokenizer:
    """Load the transformers tokenizer of a checkpoint or an export.

    Raises:
        ModelError: its files are damaged or missing, or it tokenizes differently from its own tokenizer.json.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    file = folder / "tokenizer.json"
    _require_sentencepiece(folder)
    with loading_tokenizer(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
    _refuse_placeholder(folder, tokenizer)
    uses_file = type(tokenizer) is PreTrainedTokenizerFast  # its subclasses rebuild the tokenizer
    if file.is_file() and hasattr(tokenizer, "_tokenizer") and not uses_file:
        own = open_tokenizer(file)
        if _differs(tokenizer, own):
            _use(tokenizer, own)
            _refuse_difference(folder, tokenizer, own)
            return LoadedTokenizer(tokenizer, is_corrected=True)
    return LoadedTokenizer(tokenizer)


def probe_ids(encode: Any, special: str | None) -> list[list[int]]:
    """Return the token ids of the probe texts, the last one with a special token inside.

    Args:
        encode: return the ids of a text, with the special tokens that the tokenizer adds.
        special: a special token, such as EOS.
    """
    texts = [*PROBES, f"a {special} b"] if special else list(PROBES)
    with tokenizing():
        return [list(encode(text)) for text in texts]


def refuse_other_ids(folder: Path, found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]) -> None:
    """Raise ModelError if a tokenizer gives different ids for the probe texts than the checkpoint's does."""
    for one, other in zip(found, expected, strict=False):
        if list(one) != list(other):
            raise ModelError(
                f"The tokenizer in {folder} differs from the checkpoint's: a probe text has the token ids"
                f" {_shown(one)} instead of {_shown(other)}."
            )


def _require_sentencepiece(folder: Path) -> None:
    """Raise ModelError if the only tokenizer file is a SentencePiece model and sentencepiece is not installed."""
    others = ("tokenizer.json", "vocab.json", "vocab.txt", "tekken.json")
    if not (folder / "tokenizer.model").is_file() or any((folder / name).is_file() for name in others):
        return
    if find_spec("sentencepiece") is None:
        raise ModelError(
            f"The tokenizer in {folder} is a SentencePiece model (tokenizer.model), which needs the package"
            " sentencepiece: pip install sentencepiece. Or add the tokenizer.json of the same model."
        )


def _refuse_placeholder(folder: Path, tokenizer: Any) -> None:
    """Raise ModelError if the vocabulary is almost empty: transformers creates one if tokenizer files are missing."""
    config = read_object(folder / "config.json") if (folder / "config.json").is_file() else {}
    fast = getattr(tokenizer, "_tokenizer", None)  # whose size is known without listing all tokens
    size = len(tokenizer) if fast is None else fast.get_vocab_size()
    expected = vocabulary(config)
    if size < SMALLEST and expected is not None and expected >= 4 * size:
        raise ModelError(
            f"The tokenizer in {folder} has {size} tokens, but the model has {expected:,}: its files are missing or"
            " incomplete."
        )


def _differs(tokenizer: Any, own: Any) -> bool:
    for text in PROBES:
        ids = own.encode(text, add_special_tokens=False).ids
        if tokenizer.encode(text, add_special_tokens=False) != ids:
            return True
        if tokenizer.decode(ids, clean_up_tokenization_spaces=False) != own.decode(ids):
            return True
    return False


def _use(tokenizer: Any, own: Any) -> None:
    """Let a transformers tokenizer use the components of its tokenizer.json."""
    before = tokenizer._tokenizer
    missing = [
        token
        for number, token in sorted(before.get_added_tokens_decoder().items())
        if own.token_to_id(token.content) != number
    ]
    own.add_tokens(missing)
    own.post_processor = before.post_processor
    own.no_truncation()
    own.no_padding()
    own.encode_special_tokens = before.encode_special_tokens
    tokenizer._tokenizer = own


def _refuse_difference(folder: Path, tokenizer: Any, own: Any) -> None:
    for text in PROBES:
        found = tokenizer.encode(text, add_special_tokens=False)
        expected = own.encode(text, add_special_tokens=False).ids
        if found != expected:
            raise ModelError(
                f"transformers tokenizes differently from {folder / 'tokenizer.json'}: {text!r} has the token ids"
                f" {_shown(found)} instead of {_shown(expected)}."
            )


def _shown(ids: Sequence[int]) -> str:
    return f"[{', '.join(map(str, ids[:24]))}{', ...' if len(ids) > 24 else ''}]"
