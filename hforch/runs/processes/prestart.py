"""Start a fork server early, so that it imports libraries while the parent composes the configuration.

Importing takes seconds and composing takes a few tenths of a second; on a second core both run in parallel. The backend
is guessed from the command line; a wrong guess only costs time on an otherwise idle core.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hforch.utils.paths import read_text

if TYPE_CHECKING:
    from hforch.runs.processes.fork_server import ForkServer

SHOWS_ONLY = ("-h", "--help", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion", "--version", "--hydra-help")
CHOSEN = re.compile(r"^\s*-\s*backend:\s*(\w+)", re.MULTILINE)  # in a defaults list

_waiting: ForkServer | None = None


def start(words: Sequence[str], commands: Sequence[str], defaults: Path) -> None:
    """Start a fork server for the backend that a command line will probably use, if there is a second core.

    Args:
        words: the command-line arguments.
        commands: the names of the commands.
        defaults: the primary config file.
    """
    global _waiting
    backend = likely_backend(words, commands, defaults)
    if backend is None or len(os.sched_getaffinity(0)) < 2:
        return
    from hforch.runs.processes.fork_server import ForkServer

    with suppress(OSError):  # reported when the job is run
        _waiting = ForkServer(backend)


def take(backend: str) -> ForkServer | None:
    """Return the idle fork server if it can run jobs of this backend, else None."""
    global _waiting
    fork_server, _waiting = _waiting, None
    if fork_server is None or fork_server.suits(backend):
        return fork_server
    fork_server.discard()
    return None


def discard() -> None:
    """Stop the idle fork server, if any."""
    take("")


def likely_backend(words: Sequence[str], commands: Sequence[str], defaults: Path) -> str | None:
    """Return the backend that will probably be used, or None if no worker process will be needed."""
    command = words[0] if words and words[0] in commands else None
    shown = any(word.partition("=")[0] in SHOWS_ONLY for word in words)
    if command not in (None, "run", "ask") or shown or "runtime.isolation=inline" in words:
        return None
    found = [word.removeprefix("backend=") for word in words if word.startswith("backend=")]
    files = [Path(word) for word in words[1:] if command == "run" and "=" not in word and not word.startswith("-")][:1]
    for file in (*files, defaults):
        try:
            found += CHOSEN.findall(read_text(file, most=2**20))
        except (OSError, UnicodeDecodeError):
            continue
    name = found[0].partition(",")[0] if found else ""
    return name if name.isidentifier() and (Path(__file__).parents[2] / "backends" / f"{name}.py").is_file() else None
