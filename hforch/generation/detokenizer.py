"""From token ids to text, token by token, so that the pieces join to what decoding all at once gives.

A token may be half a character, and a tokenizer may print a token differently at the start of a text. So each step
decodes from a little before the new token, and text that ends inside a character waits for the rest.

tokenizers' own DecodeStream does the same, but not for all tokenizers: after a prompt that ends inside a character it
gives the prompt's text again, it fails where byte fallback changes text that is out already, and at the end of an
answer it has no way to ask for what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Decode = Callable[[list[int]], str]
"""Token ids to text: special tokens kept, nothing cleaned up."""

INCOMPLETE = "\ufffd"
CONTEXT = 6
"""How many tokens of the prompt the first generated token is decoded after."""


class Detokenizer:
    """Decodes one answer.

    Args:
        decode: token ids to text.
        special: the text of each special token, by id; they print as nothing.
        prompt_ids: the tokens before the answer.
    """

    def __init__(self, decode: Decode, special: Mapping[int, str], prompt_ids: Sequence[int]) -> None:
        self._decode = decode
        self._special = special
        self._ids = [token for token in prompt_ids[-CONTEXT:] if token not in special]
        self._start = 0  # decoding starts here ...
        self._read = len(self._ids)  # ... and all before this has been given out
        self._before = decode(self._ids) if self._ids else ""

    def push(self, token: int) -> tuple[str, str]:
        """Take one token.

        Returns:
            the text that is certain now, and the text of the token itself if it is a special one: (visible, hidden).
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
        """What is left at the end, a broken character included."""
        text = self._decode(self._ids[self._start :])
        # A broken character at the end may have spoiled the good ones before it, which are out already.
        whole = text.startswith(self._before)
        piece = text[len(self._before) :] if whole else self._decode(self._ids[self._read :])
        self._start = self._read = len(self._ids)
        self._before = ""
        return piece


def decode_all(decode: Decode, special: Mapping[int, str], prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
    """The text of a finished answer: exactly what is given out for it piece by piece.

    Where the whole has no broken character, the pieces join to it. Where it has one, they may not: some tokenizers
    decode good characters differently when a broken one follows.
    """
    before = [token for token in prompt_ids[-CONTEXT:] if token not in special]
    context = decode(before) if before else ""
    whole = decode(before + [token for token in ids if token not in special])
    if INCOMPLETE not in whole and whole.startswith(context):
        return whole[len(context) :]
    detokenizer = Detokenizer(decode, special, prompt_ids)
    return "".join([detokenizer.push(token)[0] for token in ids]) + detokenizer.flush()
