"""The package versions that are tested together, as pip's constraints: in the installed package or the repository."""

from __future__ import annotations

from functools import cache
from pathlib import Path

SETS = {"tested": "constraints.txt", "newest": "constraints-newest.txt"}
"""Files by name: all extras, and the newest versions, which leave out OpenVINO (it requires an older transformers)."""

INSTALL = "pip install -c \"$(hforch constraints)\" hforch, or 'hforch[genai]' for OpenVINO"


def constraints_file(name: str) -> Path | None:
    """Return the file of a set in SETS; None if it is missing."""
    package = Path(__file__).resolve().parents[1]
    places = (package / SETS[name], package.parent / SETS[name])
    return next((file for file in places if file.is_file()), None)


@cache
def versions(name: str) -> dict[str, str]:
    """Return the versions of a set by canonical package name; empty if its file is missing."""
    from packaging.utils import canonicalize_name

    file = constraints_file(name)
    if file is None:
        return {}
    lines = [line.partition("==") for line in file.read_text(encoding="utf-8").splitlines() if "==" in line]
    return {canonicalize_name(package.strip()): number.strip() for package, _, number in lines}


def missing_package(error: BaseException) -> str | None:
    """Return the message for a module of another package that cannot be found, or None for other errors."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if name in ("", "hforch"):
        return None
    return f"the module {name} is not installed\n    install hforch's dependencies: {INSTALL}"
