"""The primary config: that it is there, and that no other file of its name or of an option's was meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hforch.config.config_dirs import ConfigDirs
from hforch.config.diagnose.config_files import file_mistakes
from hforch.config.diagnose.origins import config_file
from hforch.config.diagnose.suggestions import did_you_mean
from hforch.config.yaml_nodes import MOST_YAML
from hforch.errors import Mistake
from hforch.utils.paths import read_bytes


def primary_mistakes(config_dirs: ConfigDirs, loader: Any) -> list[Mistake]:
    """What is wrong with the primary config and with the files that its defaults list leads to."""
    if not loader.repository.config_exists(config_dirs.config_name):
        return [_no_such_config(config_dirs, loader)]
    return list(file_mistakes(config_dirs, loader, config_dirs.config_name))


def _no_such_config(config_dirs: ConfigDirs, loader: Any) -> Mistake:
    names = [name for name in loader.get_group_options("") if not name.startswith("_dummy")]
    folders = ", ".join(config_dirs.show(folder) or "." for folder in (config_dirs.main, *config_dirs.extra))
    hint = did_you_mean(config_dirs.config_name, names, "--config-name {}")
    problem = f"there is no config {config_dirs.config_name}.yaml in {folders}"
    return Mistake("", problem, f"--config-name {config_dirs.config_name}", hint)


def primary_file(config_dirs: ConfigDirs) -> str:
    """The primary config as a person would name it."""
    file = config_file([config_dirs.main, *config_dirs.extra], config_dirs.config_name)
    return config_dirs.show(file) if file else config_dirs.config_name


def hidden_files(config_dirs: ConfigDirs, choices: Mapping[str, str]) -> list[Mistake]:
    """A user's files that were meant, but that another folder's file of the same name comes before."""
    if not config_dirs.extra:
        return []
    names = {"": config_dirs.config_name, **{group: f"{group}/{option}" for group, option in choices.items()}}
    mistakes = []
    for group, name in names.items():
        file = config_file([config_dirs.main], name)
        for folder in config_dirs.extra if file else ():
            other = config_file([folder], name)
            if file and other and not _same(file, other):
                mistakes.append(
                    Mistake(
                        group,
                        f"{config_dirs.show(file)} and {config_dirs.show(other)} have one name,"
                        " and the first would be taken",
                        config_dirs.show(other),
                        f"give {config_dirs.show(other)} a name of its own",
                    )
                )
    return mistakes


def _same(file: Path, other: Path) -> bool:
    try:
        return read_bytes(file, MOST_YAML) == read_bytes(other, MOST_YAML)
    except OSError:
        return False
