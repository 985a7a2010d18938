"""Decode token ids token by token, so that the joined pieces equal the text decoded as a whole.

A token may be part of a character, and a tokenizer may decode a token differently at the start of a text. Each step
therefore also decodes a few tokens before the new one, and text that ends inside a character waits for the rest.

DecodeStream of the tokenizers library does not work for all tokenizers: after a prompt that ends inside a character it
returns the prompt's text again, it fails if byte fallback changes text that it has already returned, and it cannot
return the rest at the end of an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Decode = Callable[[list[int]], str]
"""Converts token ids to text, with special tokens and without cleanup."""

INCOMPLETE = "\ufffd"
CONTEXT = 6
"""Number of prompt tokens that are decoded together with the first generated token."""


class Detokenizer:
    """An incremental decoder for one answer.

    Args:
        decode: converts token ids to text.
        special: text of each special token, by id; special tokens are invisible.
        prompt_ids: token ids of the prompt.
    """

    def __init__(self, decode: Decode, special: Mapping[int, str], prompt_ids: Sequence[int]) -> None:
        self._decode = decode
        self._special = special
        self._ids = [token for token in prompt_ids[-CONTEXT:] if token not in special]
        self._start = 0  # decoding starts at this token
        self._read = len(self._ids)  # the text of the tokens before this one has been returned
        self._before = decode(self._ids) if self._ids else ""

    def push(self, token: int) -> tuple[str, str]:
        """Add a token.

        Returns:
            (visible, hidden): the text that has become final, and the text of the token if it is a special token.
        """
        if token in self._special:
            return "", self._special[token]
        self._ids.append(token)
        text = self._decode(self._ids[self._start :])
        if text.endswith(INCOMPLETE) or len(text) <= len(self._before):
            return "", ""
        piece = text[len(self._before) :]
        self._start, self._read = self._read, len(self._ids)
        self._before = self._decode(self._ids[self._start :])
        return piece, ""

    def flush(self) -> str:
        """Return the remaining text at the end, including an incomplete character."""
        text = self._decode(self._ids[self._start :])
        # An incomplete character at the end may change how the complete ones before it are decoded.
        whole = text.startswith(self._before)
        piece = text[len(self._before) :] if whole else self._decode(self._ids[self._read :])
        self._start = self._read = len(self._ids)
        self._before = ""
        return piece


def decode_all(decode: Decode, special: Mapping[int, str], prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
    """Return the text of a finished answer, equal to the joined pieces of a `Detokenizer`.

    Text without incomplete characters is decoded as a whole. With one, it is decoded token by token, because some
    tokenizers decode complete characters differently before an incomplete one.
    """
    before = [token for token in prompt_ids[-CONTEXT:] if token not in special]
    context = decode(before) if before else ""
    whole = decode(before + [token for token in ids if token not in special])
    if INCOMPLETE not in whole and whole.startswith(context):
        return whole[len(context) :]
    detokenizer = Detokenizer(decode, special, prompt_ids)
    return "".join([detokenizer.push(token)[0] for token in ids]) + detokenizer.flush()
