"""Quote values for Hydra's grammar and overrides for a shell."""

from __future__ import annotations

import re
import shlex

SPECIAL_IN_SHELL = re.compile(r'["$`!\\]')  # in double quotes
PLAIN = re.compile(r"[\w./:+-]+")


def quoted(text: str) -> str:
    """Quote a string as the value of an override. In Hydra, backslashes are escapes only before a quote."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + found[2].replace("'", "\\'"), text)
    return f"'{escaped}'"


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
