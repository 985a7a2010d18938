"""Shell completion: Hydra's completion of overrides, and hforch's commands, their flags, and the choices of a flag."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from hforch.config.config_dirs import ConfigDirs


def complete(hydra: Any, config_name: str, subcommand: Sequence[str]) -> None:
    """Handle `-sc install=SHELL` and `uninstall=SHELL`, and `query=SHELL`, which the shell calls."""
    line = os.environ.get("COMP_LINE")
    query = next((word.partition("=")[2] for word in subcommand if word.startswith("query=")), None)
    if line is not None and query is not None:
        program, _, rest = line.lstrip().partition(" ")
        command, space, after = rest.lstrip().partition(" ")
        words = after.split(" ") if space and command in _known() else rest.lstrip().split(" ")
        command = command if space and command in _known() else ""
        told = _own_words(command, words)
        if told is not None:
            print(("\n" if query == "fish" else " ").join(told))
            return
        if command:  # Hydra expects only overrides: remove the command and the recipe from the line
            kept = [word for word in words if "=" in word or word == words[-1]]
            os.environ["COMP_LINE"] = " ".join([program, *kept])
        else:
            _commands(rest)
    hydra.shell_completion(config_name=config_name, overrides=list(subcommand))


def with_literal_words(config_dirs: ConfigDirs) -> ConfigDirs:
    """Return the config dirs with the --config-dir of the command line that is being completed."""
    words = os.environ.get("COMP_LINE", "").split()
    for flag, folder in pairwise(words):
        if flag in ("--config-dir", "-cd") and Path(folder).is_dir():
            return replace(config_dirs, extra=(*config_dirs.extra, Path(folder).resolve()))
    return config_dirs


def _own_words(command: str, words: Sequence[str]) -> list[str] | None:
    """Return the flags, or the choices of a flag, that complete the last word; None for an override.

    An empty list makes the shell complete files.

    Args:
        command: the command; empty for `hforch` itself.
        words: the words after the command.
    """
    from hforch.commands._parser import OVERRIDES, parser_of

    parser = parser_of(command or "run")
    flags = {form: action for action in parser._actions for form in action.option_strings}
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if before in flags and takes_value(flags[before]):
        return _that_start(map(str, flags[before].choices or ()), last)
    if last.startswith("-"):
        return _that_start((form for form in flags if form.startswith("--") or last == form), last)
    takes_overrides = command in ("", "run") or any(action.metavar == OVERRIDES for action in parser._actions)
    return None if takes_overrides else []


def takes_value(action: argparse.Action) -> bool:
    """Return whether a flag is followed by a value."""
    return action.nargs is None or (isinstance(action.nargs, str) and action.nargs in "?*+")


def _that_start(words: Iterable[str], start: str) -> list[str]:
    return sorted(word for word in words if word.startswith(start))


def _known() -> list[str]:
    from hforch.commands import command_names

    return command_names()


def _commands(rest: str) -> None:
    if " " not in rest.lstrip():
        print(" ".join(command for command in _known() if command.startswith(rest.strip())))
