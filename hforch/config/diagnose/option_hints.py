"""Hints for names that are not options of a group: misspellings, other tools' names, and texts or paths."""

from __future__ import annotations

import re
from collections.abc import Collection

from hforch.config.diagnose.quoting import as_typed
from hforch.config.diagnose.suggestions import nearest
from hforch.config.diagnose.synonyms import CLOSEST, OPTIONS, known_as

LONGEST_TEXT = 300  # a longer text is not repeated in a hint
IS_TEXT = re.compile(r"[\s{}?!]")
VARIABLE = re.compile(r"(?<!\{)\{([A-Za-z_]\w*)\}")
IS_DATA = re.compile(r".+\.(?:jsonl|csv|txt)")


def option_meant(group: str, name: str, options: Collection[str]) -> str | None:
    """Return the option that a name probably means, or None."""
    known = known_as(name, OPTIONS.get(group, {}), options)
    return known or known_as(name, CLOSEST.get(group, {}), options) or nearest(name, options)


def did_you_mean_option(group: str, name: str, options: Collection[str], form: str = "{}") -> str | None:
    """Return a hint for a name that is not an option of a group: the option that it means, or where its value belongs.

    Args:
        form: how to write an option, such as `model={}`.
    """
    if (hint := where_it_belongs(group, name)) is not None:
        return hint
    found = option_meant(group, name, options)
    if found is None:
        return None
    if known_as(name, CLOSEST.get(group, {}), options):
        return f"hforch has no {name}; the closest is {form.format(found)}"
    return f"did you mean {form.format(found)}?"


def where_it_belongs(group: str, text: str) -> str | None:
    """Return the hint for a text or path given in place of an option, or None."""
    typed = as_value(group, text)
    columns = [name for name in VARIABLE.findall(text) if name != "question"] if group == "prompt" else []
    if typed is None or not columns:
        return f"write {typed}" if typed else None
    item = ", ".join(f"{name}: ..." for name in VARIABLE.findall(text))
    return f"write {typed}, and inputs with {' and '.join(columns)}, such as 'inputs.items=[{{{item}}}]'"


def as_value(group: str, text: str) -> str | None:
    """Return the overrides, quoted for a shell, that use a text or path given in place of an option, or None."""
    if len(text) > LONGEST_TEXT:
        return None
    if group == "prompt" and VARIABLE.search(text):
        return f"prompt=step_by_step {as_typed('prompt.template', text)}"
    if group == "inputs" and IS_DATA.fullmatch(text):
        return f"inputs=file {as_typed('inputs.path', text)}"
    if group in ("prompt", "inputs") and IS_TEXT.search(text):
        return as_typed("inputs.items", text, "[", "]")
    if group == "stop" and not text.isidentifier():
        return as_typed("stop.sequences", text, "[", "]")
    if group == "model" and (source := _source(text)):
        return f"model={source[0]} {as_typed(source[1], text)}"
    return None


def _source(text: str) -> tuple[str, str] | None:
    """Return the option and the key for the path or the Hub id of a model, or None if a text is neither."""
    if text.lower().endswith(".gguf"):
        return "gguf", "model.path"
    if text.startswith((".", "/", "~")):
        return "local", "model.path"
    return ("hub", "model.id") if re.fullmatch(r"[\w.-]+/[\w.-]+", text) else None
