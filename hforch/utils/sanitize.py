"""Where text that others wrote leaves hforch: one function for each sink, so that nothing in it is obeyed there.

Records keep text as it is. A terminal, a spreadsheet or a viewer of Markdown gets it so that it moves no cursor, starts
no formula and loads no image.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

JOINERS = "\u200c\u200d"  # within emoji, and in many scripts
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?%?")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MARKDOWN = re.compile(r"[\\`\[\]<&|]|(?<=:)//|(?<=www)\.")


def is_visible(one: str) -> bool:
    """Whether a character has a shape or a width, and does nothing else."""
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
    """Text in lines; control characters and those that change the direction are written as in Python."""
    return _escaped(text, "\n\t", _as_in_python)


def for_json(text: str) -> str:
    """JSON as it was, with escapes for what no terminal should get."""
    return _escaped(text, "\n", _as_in_json)


def for_yaml(text: str) -> str:
    """YAML whose texts with such characters are all in double quotes, as `hforch.config.as_recipe.to_yaml` has it."""
    return _escaped(text, "\n", lambda one: f"\\U{ord(one):08x}")


def for_csv(value: object) -> object:
    """A cell: a text that a spreadsheet would take for a formula begins with an apostrophe; numbers stay numbers."""
    if not isinstance(value, str):
        return value
    text = f"'{value}" if value.startswith(FORMULA) and not NUMBER.fullmatch(value) else value
    return _escaped(text, "\n", _as_in_python)


def for_markdown(text: str) -> str:
    """Text for one line of Markdown: no HTML, no link, no image, no code, no cell of a table begins in it."""
    plain = for_terminal(text).replace("\n", " ").replace("\t", " ")
    return MARKDOWN.sub(lambda match: f"\\{match[0]}", plain)


def for_xml(text: str) -> str:
    """Text for XML 1.0, which has no escapes for most control characters."""
    return for_terminal(text)
