"""Find overrides that the shell split into several words, because they were not quoted or have spaces around `=`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hforch.config.diagnose.option_hints import where_it_belongs
from hforch.config.diagnose.quoting import how_to_quote
from hforch.config.hydra_adapter.parsing import choices_of
from hforch.config.keys import groups, known_keys
from hforch.errors import LONGEST_VALUE, Mistake, shown

QUOTE = "quote the whole override"


@dataclass(frozen=True)
class Words:
    """Words of a command line that are probably one override.

    Attributes:
        words: the words as the shell passed them.
        key: the key, with its sign.
        value: the value, with single spaces between words.
    """

    words: tuple[str, ...]
    key: str
    value: str

    @property
    def text(self) -> str:
        return f"{self.key}={self.value}"


def grouped(words: Sequence[str], options: Callable[[str], Collection[str]]) -> Iterator[Words | str]:
    """Yield the words of a command line, with those that are probably one override as `Words`.

    Args:
        options: returns the options of a group.
    """
    at = 0
    while at < len(words):
        end = at + 1
        has_key = not _continues(words[at]) or _is_key(words, at)
        key, _, value = words[at].lstrip("+").partition("=")
        is_complete = key in groups() and value in options(key)
        while has_key and not is_complete and end < len(words) and _continues(words[end]) and not _is_key(words, end):
            end += 1
        if end == at + 1:
            yield words[at]
        else:
            key, _, value = " ".join(words[at:end]).partition("=")
            yield Words(tuple(words[at:end]), key.strip(), value.strip())
        at = end


def is_key(word: str) -> bool:
    """Return whether a word is a group or the key of a value, without `=`."""
    return word.lstrip("+") in (*groups(), *known_keys())


def _continues(word: str) -> bool:
    """Return whether a word cannot be an override, because it has no key or no `=`."""
    return word.startswith("=") or ("=" not in word and not word.startswith("~"))


def _is_key(words: Sequence[str], at: int) -> bool:
    """Return whether a word is a key, and the next one starts with `=`."""
    return is_key(words[at]) and at + 1 < len(words) and words[at + 1].startswith("=")


def mistake_in(split: Words, parser: Any) -> Mistake:
    """Return the error for an override that the shell split; its hint is the override as a shell needs it."""
    loose = next(word for word in split.words if _continues(word))
    fault = "has no key" if loose.startswith("=") else "has no `=`"
    problem = f"'{shown(loose, LONGEST_VALUE)}' {fault}; the shell probably split one override into several words"
    joined = " ".join(split.words)
    return Mistake(split.key.lstrip("+"), problem, joined, _hint(split, parser))


def _hint(split: Words, parser: Any) -> str:
    from hforch.config.diagnose.library_errors import REFUSALS

    if " " not in split.value:
        return f"write {shlex.quote(split.text)}, without spaces"
    choices = choices_of(split.text)
    if choices is not None and len(choices) > 1 and not any(" " in one for one in choices):
        without = f"{split.key}={','.join(choices)}"
        return f"write {shlex.quote(without)}, without spaces"
    is_list = split.value.startswith("[")
    if split.key in groups() and not is_list and (hint := where_it_belongs(split.key, split.value)) is not None:
        return f"{QUOTE}: {hint.removeprefix('write ')}"
    try:
        parser.parse_overrides([split.text])
    except REFUSALS:
        return how_to_quote(split.key, split.value) or QUOTE
    return QUOTE if len(split.text) > LONGEST_VALUE else f"{QUOTE}: {shlex.quote(split.text)}"
