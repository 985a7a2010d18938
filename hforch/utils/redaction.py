"""Find and replace credentials in everything that hforch writes and prints.

To remember a credential is to register it in this process: from then on, every rule replaces it. There are three rules,
from the narrowest to the widest:

- `without_known` replaces remembered credentials and Hugging Face tokens. It is for inputs and outputs of models, which
  are data and otherwise stay unchanged.
- `redacted` also replaces strings of a known format (`sk-...`, a private key, a password in a URL). It is for
  configuration and records.
- `redacted_line` also replaces the value in `name=value` if the name is that of a credential. It is for messages and
  logs.
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
SHORTEST = 8  # characters; a shorter value may occur in other words
SHORTEST_NAMED = 6  # characters, for a value whose name is that of a credential
INTERPOLATION = re.compile(r"\$\{[^}]*\}")

MOST_REMEMBERED = 200  # characters; redactions of longer strings are not cached

_given: dict[str, str] = {}  # remembered credentials, each with its replacement
_ordinary: set[str] = set()  # remembered only because the configuration reads them from environment variables
_in_paths: set[str] = set()  # ordinary values that occur in the path of an output directory


def remember(value: str, shown: str = STRUCK) -> None:
    """Remember a value and the parts of it that are credentials; `shown` is the text that replaces them."""
    if len(value) >= SHORTEST_NAMED and not INTERPOLATION.fullmatch(value) and set(value) != {"*"}:
        _given.setdefault(value, shown)
    remember_shapes(value, shown)


def remember_shapes(text: str, shown: str = STRUCK) -> None:
    """Remember the parts of a string that have the format of a credential."""
    for found in credentials_in(text):
        parts = {found}
        if f"://{found}@" in text:
            password = found.partition(":")[2]
            parts |= {password, unquote(password)}
        for part in parts:
            if len(part) >= SHORTEST_NAMED and set(part) != {"*"}:
                _given.setdefault(part, shown)


def remember_named(text: str) -> None:
    """Remember the values that follow names of credentials in a string, as in `password=...`."""
    for match in named_values(text):
        remember(match["value"].strip("\"'"))


def remember_variable(name: str, value: str) -> None:
    """Remember the value of an environment variable that the configuration reads.

    Paths, numbers and plain words are ignored: they are not credentials and occur in many places.
    """
    shown = f"${{oc.env:{name}}}"
    if is_secret_name(name) or any(credentials_in(value)):
        remember(value, shown)
    elif len(value) >= SHORTEST and not _is_common(value) and value not in _in_paths and value not in _given:
        _ordinary.add(value)
        remember(value, shown)


def allow_in_path(path: str) -> bool:
    """Return whether a path contains no credential and may be written.

    Ordinary values of environment variables are allowed in the path, and are not redacted from then on.
    """
    for value in [one for one, _ in _known() if one in path]:
        if value not in _ordinary:
            return False
        _in_paths.add(value)
        _given.pop(value, None)
    return redacted(path) == path


def remembered() -> dict[str, str]:
    """Return the remembered credentials, for a child process."""
    return dict(_given)


def remember_all(given: Mapping[str, str]) -> None:
    """Remember the credentials that the parent process remembered."""
    _given.update(given)


def _is_common(value: str) -> bool:
    return value.startswith(("/", "~", "./", "../")) or bool(re.fullmatch(r"[\d.,:_+-]+|[A-Za-z]+(_[a-z]+)*", value))


# ---------------------------------------------------------------- text
def without_known(text: str) -> str:
    """Return a string with remembered credentials and Hugging Face tokens redacted."""
    for value, shown in _known():
        text = text.replace(value, shown)
    return re.sub(HUB_TOKEN, STRUCK, text) if "hf_" in text else text


class Pieces:
    """Redacts text that arrives in pieces; finds credentials that span several pieces."""

    def __init__(self) -> None:
        self._held = ""

    def add(self, piece: str) -> str:
        """Add a piece and return the text that can be shown: all but an end that may be the start of a credential."""
        text = without_known(self._held + piece)
        longest = max((len(value) for value, _ in _known()), default=1)
        ends = (size for size in range(min(longest - 1, len(text)), 0, -1) if _begins_known(text[-size:]))
        held = next(ends, 0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """Return the text that is still held back."""
        rest, self._held = self._held, ""
        return rest


def _begins_known(text: str) -> bool:
    return any(value.startswith(text) for value, _ in _known())


def redacted(text: str) -> str:
    """Return a string with remembered credentials, and strings in the format of one, redacted."""
    text = without_known(text)
    if not any(hint in text for hint in HINTS):
        return text
    return SHAPES.sub(lambda match: match[0].replace(match["bearer"] or match[0], STRUCK), text)


def redacted_line(text: str) -> str:
    """Return a line of a message or log with credentials redacted, including the values in `password=...`."""
    text = redacted(text)
    pieces, at = [], 0
    for match in named_values(text):
        if match.start() >= at:
            quote = match["value"][0] if match["value"][0] in "\"'" else ""
            pieces += [text[at : match.start("value")], f"{quote}{STRUCK}{quote}"]
            at = match.end()
    return "".join([*pieces, text[at:]])


def redacted_override(text: str) -> str:
    """Return an override redacted for the record: by `redacted_line` for Hydra's settings, by `redacted` for others."""
    key, equals, value = text.partition("=")
    if not key.lstrip("+~").startswith("hydra"):
        return redacted(text)
    if is_secret_name(key.rpartition(".")[2]) and not value.startswith("${"):
        return f"{redacted(key)}{equals}{STRUCK if value else ''}"
    return redacted_line(text)


def _known() -> tuple[tuple[str, str], ...]:
    """Return the remembered credentials with their replacements, longest first."""
    tokens = tuple(value for name in TOKEN_VARIABLES if len(value := os.environ.get(name, "")) >= SHORTEST)
    return _ordered(tokens, tuple(_given.items()))


@lru_cache(maxsize=4)
def _ordered(tokens: Sequence[str], given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    known = {**dict.fromkeys(tokens, STRUCK), **dict(given)}
    return tuple(sorted(known.items(), key=lambda one: -len(one[0])))


# ---------------------------------------------------------------- trees
Rule = Callable[[str], str]


def redacted_tree(tree: Any, rule: Rule = redacted, by_name: Callable[[tuple[str, ...]], bool] | None = None) -> Any:
    """Return plain containers with a rule applied to every key and string.

    Args:
        by_name: returns whether the value at a path is redacted if its key names a credential; None: never.
    """
    return _redacted(tree, _once(rule, _known()), by_name, ())


@lru_cache(maxsize=8)
def _once(rule: Rule, known: tuple[tuple[str, str], ...]) -> Rule:
    """Return a rule that caches the results for short strings, many of which are repeated in records."""
    remembered = lru_cache(maxsize=20_000)(rule)
    return lambda text: remembered(text) if len(text) < MOST_REMEMBERED else rule(text)


def _redacted(tree: Any, rule: Rule, by_name: Callable[[tuple[str, ...]], bool] | None, path: tuple[str, ...]) -> Any:
    if isinstance(tree, Mapping):
        found: dict[Any, Any] = {}
        for key, value in tree.items():
            inner = (*path, str(key))
            named = by_name is not None and is_named_secret(str(key), value) and by_name(inner)
            new = rule(key) if isinstance(key, str) else key
            while new in found:  # two keys are redacted to the same string
                new += "*"
            found[new] = STRUCK if named else _redacted(value, rule, by_name, inner)
        return found
    if isinstance(tree, list | tuple):
        return [_redacted(one, rule, by_name, (*path, str(number))) for number, one in enumerate(tree)]
    return rule(tree) if isinstance(tree, str) else tree


def is_named_secret(key: str, value: Any) -> bool:
    """Return whether a key is the name of a credential, and has a value."""
    if isinstance(value, str):
        return is_secret_name(key) and value not in ("", "???") and not INTERPOLATION.fullmatch(value)
    return is_secret_name(key) and isinstance(value, int) and not isinstance(value, bool)


def may_hold_known(text: str) -> bool:
    """Return whether JSON text may contain what `without_known` replaces."""
    if "hf_" in text and re.search(HUB_TOKEN, text):
        return True
    forms = (form for value, _ in _known() for form in _forms(value))
    return any(form in text for form in forms)


@lru_cache(maxsize=256)
def _forms(value: str) -> Iterable[str]:
    """Return the forms that a value can have in JSON."""
    return {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
