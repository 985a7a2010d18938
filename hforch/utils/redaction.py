"""Credentials are kept out of everything that hforch writes and prints; this module finds and replaces them.

There are three rules, from the narrowest to the widest:

- `without_known`: credentials that this process has been given, and the hub's tokens. For inputs and outputs of models,
  which are data and stay as they are otherwise.
- `redacted`: also text of a known shape (`sk-...`, a private key, a password in a URL). For configuration and records.
- `redacted_line`: also `name=value` where the name is that of a credential. For messages and logs.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from hforch.utils.credential_patterns import HINTS, HUB_TOKEN, SHAPES, credentials_in, is_secret_name, named_values

STRUCK = "***"
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
SHORTEST = 8  # characters; a shorter value stands in too many words
SHORTEST_NAMED = 6  # of a value whose name says that it is a credential
INTERPOLATION = re.compile(r"\$\{[^}]*\}")

MOST_REMEMBERED = 200  # characters

_given: dict[str, str] = {}  # credentials that this process was given, each with what is written in its place
_ordinary: set[str] = set()  # those of them that are only values of variables that the configuration reads
_in_paths: set[str] = set()  # the ordinary ones that name a directory of ours


def remember(value: str, shown: str = STRUCK) -> None:
    """From here on, write `shown` in the place of `value`, and of the parts of it that are credentials."""
    if len(value) >= SHORTEST_NAMED and not INTERPOLATION.fullmatch(value) and set(value) != {"*"}:
        _given.setdefault(value, shown)
    remember_shapes(value, shown)


def remember_shapes(text: str, shown: str = STRUCK) -> None:
    """Remember the parts of a text that have the shape of a credential."""
    for found in credentials_in(text):
        parts = {found}
        if f"://{found}@" in text:
            password = found.partition(":")[2]
            parts |= {password, unquote(password)}
        for part in parts:
            if len(part) >= SHORTEST_NAMED and set(part) != {"*"}:
                _given.setdefault(part, shown)


def remember_named(text: str) -> None:
    """Remember what a text says to be the values of credentials' names."""
    for match in named_values(text):
        remember(match["value"].strip("\"'"))


def remember_variable(name: str, value: str) -> None:
    """Remember the value of an environment variable that the configuration reads.

    Paths, numbers and plain words are left alone: they are no credentials, and stand in many places.
    """
    shown = f"${{oc.env:{name}}}"
    if is_secret_name(name) or any(credentials_in(value)):
        remember(value, shown)
    elif len(value) >= SHORTEST and not _is_common(value) and value not in _in_paths and value not in _given:
        _ordinary.add(value)
        remember(value, shown)


def allow_in_path(path: str) -> bool:
    """Return whether a path may be written down: it holds no credential.

    Values of variables that are none may stand in it, and are written as they are from then on.
    """
    for value in [one for one, _ in _known() if one in path]:
        if value not in _ordinary:
            return False
        _in_paths.add(value)
        _given.pop(value, None)
    return redacted(path) == path


def remembered() -> dict[str, str]:
    """Return the credentials of this process, for one that works for it."""
    return dict(_given)


def remember_all(given: Mapping[str, str]) -> None:
    """Take over the credentials of the process that this one works for."""
    _given.update(given)


def _is_common(value: str) -> bool:
    return value.startswith(("/", "~", "./", "../")) or bool(re.fullmatch(r"[\d.,:_+-]+|[A-Za-z]+(_[a-z]+)*", value))


# ---------------------------------------------------------------- text
def without_known(text: str) -> str:
    """Return a text without the credentials that this process was given, and without tokens of the hub."""
    for value, shown in _known():
        text = text.replace(value, shown)
    return re.sub(HUB_TOKEN, STRUCK, text) if "hf_" in text else text


class Pieces:
    """Text that comes in pieces, without credentials that lie across two of them."""

    def __init__(self) -> None:
        self._held = ""

    def add(self, piece: str) -> str:
        """Return what can be shown by now: all but an end that may be the beginning of a credential."""
        text = without_known(self._held + piece)
        longest = max((len(value) for value, _ in _known()), default=1)
        ends = (size for size in range(min(longest - 1, len(text)), 0, -1) if _begins_known(text[-size:]))
        held = next(ends, 0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """Return what is left at the end."""
        rest, self._held = self._held, ""
        return rest


def _begins_known(text: str) -> bool:
    return any(value.startswith(text) for value, _ in _known())


def redacted(text: str) -> str:
    """Return a text without anything in it that looks like a credential."""
    text = without_known(text)
    if not any(hint in text for hint in HINTS):
        return text
    return SHAPES.sub(lambda match: match[0].replace(match["bearer"] or match[0], STRUCK), text)


def redacted_line(text: str) -> str:
    """Return a line of a message or log without credentials, and without the values of names that say they are one."""
    text = redacted(text)
    pieces, at = [], 0
    for match in named_values(text):
        if match.start() >= at:
            quote = match["value"][0] if match["value"][0] in "\"'" else ""
            pieces += [text[at : match.start("value")], f"{quote}{STRUCK}{quote}"]
            at = match.end()
    return "".join([*pieces, text[at:]])


def redacted_override(text: str) -> str:
    """Return an override as it may be recorded: Hydra's own settings may name credentials, those of a job are data."""
    key, equals, value = text.partition("=")
    if not key.lstrip("+~").startswith("hydra"):
        return redacted(text)
    if is_secret_name(key.rpartition(".")[2]) and not value.startswith("${"):
        return f"{redacted(key)}{equals}{STRUCK if value else ''}"
    return redacted_line(text)


def _known() -> tuple[tuple[str, str], ...]:
    """Return the known credentials, longest first, each with what is written in its place."""
    tokens = tuple(value for name in TOKEN_VARIABLES if len(value := os.environ.get(name, "")) >= SHORTEST)
    return _ordered(tokens, tuple(_given.items()))


@lru_cache(maxsize=4)
def _ordered(tokens: Sequence[str], given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    known = {**dict.fromkeys(tokens, STRUCK), **dict(given)}
    return tuple(sorted(known.items(), key=lambda one: -len(one[0])))


# ---------------------------------------------------------------- trees
Rule = Callable[[str], str]


def redacted_tree(tree: Any, rule: Rule = redacted, by_name: Callable[[tuple[str, ...]], bool] | None = None) -> Any:
    """Return plain containers with a rule applied to every key and text.

    Args:
        by_name: for the path of a key, whether its name decides too; None: it never does.
    """
    return _redacted(tree, _once(rule, _known()), by_name, ())


@lru_cache(maxsize=8)
def _once(rule: Rule, known: tuple[tuple[str, str], ...]) -> Rule:
    """A rule that looks at each short text once, as long as the known credentials are these: records say much alike."""
    remembered = lru_cache(maxsize=20_000)(rule)
    return lambda text: remembered(text) if len(text) < MOST_REMEMBERED else rule(text)


def _redacted(tree: Any, rule: Rule, by_name: Callable[[tuple[str, ...]], bool] | None, path: tuple[str, ...]) -> Any:
    if isinstance(tree, Mapping):
        found: dict[Any, Any] = {}
        for key, value in tree.items():
            inner = (*path, str(key))
            named = by_name is not None and is_named_secret(str(key), value) and by_name(inner)
            new = rule(key) if isinstance(key, str) else key
            while new in found:  # two credentials among the keys of one mapping
                new += "*"
            found[new] = STRUCK if named else _redacted(value, rule, by_name, inner)
        return found
    if isinstance(tree, list | tuple):
        return [_redacted(one, rule, by_name, (*path, str(number))) for number, one in enumerate(tree)]
    return rule(tree) if isinstance(tree, str) else tree


def is_named_secret(key: str, value: Any) -> bool:
    """Return whether a key's name says that its value is a credential, and there is a value."""
    if isinstance(value, str):
        return is_secret_name(key) and value not in ("", "???") and not INTERPOLATION.fullmatch(value)
    return is_secret_name(key) and isinstance(value, int) and not isinstance(value, bool)


def may_hold_known(text: str) -> bool:
    """Return whether JSON text may hold what `without_known` replaces."""
    if "hf_" in text and re.search(HUB_TOKEN, text):
        return True
    forms = (form for value, _ in _known() for form in _forms(value))
    return any(form in text for form in forms)


@lru_cache(maxsize=256)
def _forms(value: str) -> Iterable[str]:
    """Return a value as it may stand in JSON."""
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
