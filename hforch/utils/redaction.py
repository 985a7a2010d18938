"""Credentials are kept out of everything that hforch writes and prints; this module finds and replaces them.

There are three rules, from the narrowest to the widest:

- `without_known`: credentials that this process has been given, and the hub's tokens. For inputs and outputs of models,
  which are data and stay as they are otherwise.
- `redacted`: also text of a known shape (`sk-...`, a private key, a password in a URL). For configuration and records.
- `redacted_line`: also `name=value` where the name is that of a credential. For messages and logs.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

STRUCK = "***"
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
SHORTEST = 8  # characters; a shorter value stands in too many words
SHORTEST_NAMED = 6  # of a value whose name says that it is a credential

HUB_TOKEN = r"\bhf_[A-Za-z0-9]{20,}\b"
SHAPES = re.compile(
    "|".join(
        (
            HUB_TOKEN,
            r"(?<![\w-])sk-(?:[A-Za-z0-9]{16,}|(?=[\w-]*\d)[\w-]{20,})[\w-]*",  # OpenAI, Anthropic
            r"\bgh[pousr]_[A-Za-z0-9]{20,}",
            r"\bgithub_pat_\w{20,}",
            r"\bglpat-[\w-]{16,}",
            r"\bxox[a-z]-[\w-]{10,}",
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
            r"\bya29\.[\w-]{16,}",
            r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",  # a JSON Web Token
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            r"""(?<=://)[^/\s:@'"<>]*:[^/\s@'"<>]+(?=@)""",
            r"""(?<=://)[^/\s:@'"<>]{20,}(?=@)""",
            r"\b(?i:bearer|basic)\s+(?P<bearer>[\w.~+/-]{16,}=*)",
        )
    ),
    re.DOTALL,
)
# One of these stands in every text that has such a shape; looking for them is faster.
HINTS = (
    *(
        "hf_",
        "sk-",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "xox",
        "AKIA",
        "ASIA",
        "ya29.",
        "eyJ",
    ),
    *("PRIVATE KEY", "://", "earer", "EARER", "asic", "ASIC"),
)

SECRET_NAME = re.compile(
    r"(?:^|_)(?:api_?key|access_?key|private_?key|secret_?key|account_?key|secret|token|password|passwd|pwd|passphrase"
    r"|authorization|credentials?)$"
)
# Tokens of a vocabulary, which are no credentials.
VOCABULARY = re.compile(
    r"(?:^|_)(?:pad|eos|bos|unk|sep|cls|mask|stop|start|end|special|image|audio|video|boi|eoi|eot|eom|think|tool|prefix"
    r"|suffix|middle|first|last|next|new|max|min|per|each|decoder)_token$"
)
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
NAMED = re.compile(r"""(?<![\w.-])(?P<name>[\w.-]+)(?P<sign>["']?\s*[=:]\s*)""")
VALUE = re.compile(r"""((?i:bearer|basic|token)\s+)?(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s"',;&{}\[\]()]+)""")
ONLY_WITH_EQUALS = ("token", "secret", "credential", "credentials")  # `unknown token: x` is a sentence
INTERPOLATION = re.compile(r"\$\{[^}]*\}")

MOST_REMEMBERED = 200  # characters

_given: dict[str, str] = {}  # credentials that this process was given, each with what is written in its place
_ordinary: set[str] = set()  # those of them that are only values of variables that the configuration reads
_in_paths: set[str] = set()  # the ordinary ones that name a directory of ours


# ---------------------------------------------------------------- what is a credential
def is_secret_name(name: str) -> bool:
    """Return whether a key's or variable's own name says that its value is a credential."""
    plain = CAMEL.sub("_", name).replace("-", "_").lower()
    return bool(SECRET_NAME.search(plain)) and not VOCABULARY.search(plain)


def credentials_in(text: str) -> Iterator[str]:
    """Yield the parts of a text that have the shape of a credential."""
    if any(hint in text for hint in HINTS):
        for match in SHAPES.finditer(text):
            yield match["bearer"] or match[0]


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
    for match in _named_values(text):
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


def _named_values(text: str) -> Iterator[re.Match[str]]:
    """Yield matches of VALUE for what a text says to be the value of a credential's name."""
    for match in NAMED.finditer(text):
        name = match["name"].rpartition(".")[2]
        if is_secret_name(name) and ("=" in match["sign"] or name.lower() not in ONLY_WITH_EQUALS):
            found = VALUE.match(text, match.end())
            if found and not text.startswith(("${", "$\\{"), found.start("value")):
                yield found


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
    for match in _named_values(text):
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


# ---------------------------------------------------------------- logs
class RedactingFormatter(logging.Formatter):
    """A formatter that takes the credentials out of what another one makes."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redacted_line(self._inner.format(record))


def redact_logging() -> None:
    """Take credentials out of what the handlers of all loggers write from here on."""
    loggers = [logging.getLogger(), *(one for one in logging.root.manager.loggerDict.values())]
    for logger in loggers:
        for handler in logger.handlers if isinstance(logger, logging.Logger) else ():
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter()))


class RedactingStream(io.TextIOWrapper):
    """A stream of log lines without credentials."""

    def write(self, text: str, /) -> int:
        super().write(redacted_line(text))
        return len(text)


def redacting(number: int, before: Any) -> RedactingStream:
    """Return a stream of log lines over a file descriptor, in the place of another one, with nothing held back."""
    before.flush()
    raw: Any = io.FileIO(number, "wb", closefd=False)
    return RedactingStream(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def redact_file(path: Path) -> None:
    """Take credentials out of a log that native code may have written to, in place: others may append to it."""
    with suppress(OSError), path.open("r+b") as file:
        before = file.read()
        text = before.decode("utf-8", "surrogateescape")
        after = "".join(map(redacted_line, redacted(text).splitlines(keepends=True)))
        if after != text:
            file.seek(0)
            file.write(after.encode("utf-8", "surrogateescape"))
            file.truncate()
