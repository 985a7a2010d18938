"""Escape untrusted text: one function for each kind of output.

Records store text unchanged. Elsewhere, it must not move the cursor of a terminal, be evaluated by a spreadsheet or
load an image in a Markdown viewer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

JOINERS = "\u200c\u200d"  # which emoji and many scripts use
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?%?")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MARKDOWN = re.compile(r"[\\`\[\]<&|]|(?<=:)//|(?<=www)\.")


def is_visible(one: str) -> bool:
    """Return whether a character is printable, a joiner or a space."""
    return one.isprintable() or one in JOINERS or unicodedata.category(one) == "Zs"


def _escaped(text: str, kept: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(one if one in kept or is_visible(one) else escape(one) for one in text)


def _as_in_python(one: str) -> str:
    return one.encode("unicode_escape").decode()


def _as_in_json(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def for_terminal(text: str) -> str:
    """Return text with control characters and direction marks escaped as in Python; newlines and tabs stay."""
    return _escaped(text, "\n\t", _as_in_python)


def for_json(text: str) -> str:
    """Return JSON text with characters escaped that must not reach a terminal."""
    return _escaped(text, "\n", _as_in_json)


def for_yaml(text: str) -> str:
    """Return YAML text with control characters and direction marks escaped.

    `hforch.config.as_recipe.to_yaml` double-quotes strings that contain them.
    """
    return _escaped(text, "\n", lambda one: f"\\U{ord(one):08x}")


def for_csv(value: object) -> object:
    """Return a CSV cell, with an apostrophe before a string that a spreadsheet would evaluate as a formula."""
    if not isinstance(value, str):
        return value
    text = f"'{value}" if value.startswith(FORMULA) and not NUMBER.fullmatch(value) else value
    return _escaped(text, "\n", _as_in_python)


def for_markdown(text: str) -> str:
    """Return text for one line of Markdown in which no HTML, link, image, code or table cell starts."""
    plain = for_terminal(text).replace("\n", " ").replace("\t", " ")
    return MARKDOWN.sub(lambda match: f"\\{match[0]}", plain)


def for_xml(text: str) -> str:
    """Return text for XML 1.0, which cannot represent most control characters."""
    return for_terminal(text)
