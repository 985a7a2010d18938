"""Names of models that are not options: `model=./folder`, `model=FILE.gguf` and `model=ORG/NAME`.

An option's name takes precedence over an existing file or directory, and that over a name on the Hugging Face Hub.
Names that start with /, ./, ../ or ~, and those that end in .gguf, are always paths, and never those of config files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hforch.utils.paths import expanded

PATTERN = r"[^\x00-\x1f$]+"
ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
ROOTS = re.compile(r"(\.{0,2}|~[^/]*)(/|$)")  # the start of paths that do not look like names
GGUF = ".gguf"


def meaning(name: str) -> tuple[str, dict[str, Any]] | None:
    """Return the option that a name stands for, and its values; None if it is neither a path nor a name on the Hub."""
    if _is_file(name) or (name.endswith(GGUF) and not _is_directory(name)):
        return ("gguf" if name.endswith(GGUF) else "local"), {"path": name}
    if is_path(name) or _is_directory(name) or name.count("/") > 1:
        return "local", {"path": name}
    return ("hub", {"id": name}) if ON_THE_HUB.fullmatch(name) else None


def is_path(name: str) -> bool:
    """Return whether a name is a path by its form, whether or not the path exists."""
    steps = name.split("/")
    return bool(name) and bool(ROOTS.match(name) or ".." in steps or (name.endswith(GGUF) and len(steps) > 1))


def exists(path: Path) -> bool:
    """Return whether a path is an existing file or directory."""
    return any(state_of(str(path)))


def state_of(name: str) -> tuple[int, ...]:
    """Return whether the name is an existing file and an existing directory."""
    return int(_is_file(name)), int(_is_directory(name))


def _is_file(name: str) -> bool:
    try:
        return expanded(name).is_file()
    except (OSError, ValueError, RuntimeError):
        return False


def _is_directory(name: str) -> bool:
    try:
        return expanded(name).is_dir()
    except (OSError, ValueError, RuntimeError):
        return False
