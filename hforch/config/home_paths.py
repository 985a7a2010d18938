"""Allow `~` unquoted in overrides, as in `inputs.path=~/questions.csv`; Hydra's grammar requires quotes."""

from __future__ import annotations

import re

from hforch.config.hydra_adapter.parsing import quoted
from hforch.utils.paths import expanded

QUOTED = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
PLAIN = r"~(?:\$\{[^{}]*\}|[^,\[\](){}'\"])*"
VALUE = re.compile(rf"(?P<quoted>{QUOTED})|(?P<before>(?:^|[,\[({{:])\s*)(?P<path>{PLAIN})(?=[,\])}}]|$)")
WRITTEN_BY_HYDRA = ("hydra.run.dir", "hydra.sweep.dir")


def with_home(override: str) -> str:
    """Return an override with each unquoted value that starts with `~` in quotes.

    In the directories that Hydra itself creates, `~` is replaced by the home directory.
    """
    key, sign, value = override.partition("=")
    if not sign or "~" not in value:
        return override
    if key.lstrip("+") in WRITTEN_BY_HYDRA:
        text = value[1:-1] if re.fullmatch(QUOTED, value) else value
        return f"{key}={quoted(str(expanded(text)))}" if text.startswith("~") else override
    return f"{key}={VALUE.sub(_with_quotes, value)}"


def _with_quotes(found: re.Match[str]) -> str:
    if found["quoted"] is not None:
        return found.group()
    path = found["path"].rstrip()
    return f"{found['before']}{quoted(path)}{found['path'][len(path) :]}"
