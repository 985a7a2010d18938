"""Quote overrides for Hydra's grammar and for a shell."""

from __future__ import annotations

import re
import shlex

from hforch.config.hydra_adapter.parsing import quoted

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
