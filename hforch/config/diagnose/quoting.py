"""Quote overrides for Hydra's grammar and for a shell."""

from __future__ import annotations

import re
import shlex

from hforch.config.hydra_adapter.parsing import quoted
from hforch.errors import LONGEST_VALUE

SPECIAL_IN_SHELL = re.compile(r'["$`!\\]')  # in double quotes
PLAIN = re.compile(r"[\w./:+-]+")


def as_typed(key: str, text: str, before: str = "", after: str = "") -> str:
    """Return the override that sets a key to a string, quoted for Hydra and for a shell.

    Args:
        before: what precedes the string in the value, such as `[` of a list.
        after: what follows it.
    """
    if not before and PLAIN.fullmatch(text):
        return f"{key}={text}"
    if "'" not in text and not re.search(r'\\(?:"|$)', text):
        escaped = text.replace('"', '\\"')
        return f"""'{key}={before}"{escaped}"{after}'"""
    override = f"{key}={before}{quoted(text)}{after}"
    return shlex.quote(override) if SPECIAL_IN_SHELL.search(text) else f'"{override}"'


def how_to_quote(key: str, value: str) -> str | None:
    """Return a hint on how to quote a value that Hydra's grammar cannot parse, or None if the value is too long."""
    if len(value) > LONGEST_VALUE:
        return None
    inner, before, after, what = value, "", "", "the value"
    if value[:1] in ("[", "{"):
        inner = value[1:-1] if value[-1:] in ("]", "}") else value[1:]
        before, after, what = ("[", "]", "each string") if value[0] == "[" else ("{name: ", "}", "each string")
    if inner[:1] in ("'", '"'):
        return "close each quote; write \\' or \\\" for a quote inside a string"
    if value[0] == "[" and key == "checks.items" and re.match(r"\w+: ", inner):
        return f"enclose each check in braces: {shlex.quote(f'{key}=[{{{inner}}}]')}"
    hint = f"quote {what} for Hydra, and the whole override for the shell"
    return f"{hint}: {as_typed(key, inner, before, after)}"
