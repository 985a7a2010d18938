"""Shell completion: Hydra's completion of overrides, and command names for the first word."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from hforch.config.config_dirs import ConfigDirs


def complete(hydra: Any, config_name: str, subcommand: Sequence[str]) -> None:
    """Handle `-sc install=SHELL` and `uninstall=SHELL`, and `query=SHELL`, which the shell calls."""
    line = os.environ.get("COMP_LINE")
    if line is not None and any(word.startswith("query=") for word in subcommand):
        program, _, rest = line.lstrip().partition(" ")
        verb, _, after = rest.lstrip().partition(" ")
        _verbs(rest)
        if verb in _known() and rest != verb:
            # Hydra expects only overrides: remove the command and the recipe from the line.
            words = [word for word in after.split(" ") if "=" in word or word == after.split(" ")[-1]]
            os.environ["COMP_LINE"] = " ".join([program, *words])
    hydra.shell_completion(config_name=config_name, overrides=list(subcommand))


def with_literal_words(config_dirs: ConfigDirs) -> ConfigDirs:
    """Return the config dirs with the --config-dir of the command line that is being completed."""
    words = os.environ.get("COMP_LINE", "").split()
    for flag, folder in pairwise(words):
        if flag in ("--config-dir", "-cd") and Path(folder).is_dir():
            return replace(config_dirs, extra=(*config_dirs.extra, Path(folder).resolve()))
    return config_dirs


def _known() -> list[str]:
    from hforch.commands import command_names

    return command_names()


def _verbs(rest: str) -> None:
    if " " not in rest.lstrip():
        print(" ".join(verb for verb in _known() if verb.startswith(rest.strip())))
