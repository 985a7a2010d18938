"""Check that the primary config exists and that no file hides a user's file of the same name."""

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
    """Return the errors in the primary config and in the files that its defaults list names."""
    if not loader.repository.config_exists(config_dirs.config_name):
        return [_no_such_config(config_dirs, loader)]
    return list(file_mistakes(config_dirs, loader, config_dirs.config_name))


def _no_such_config(config_dirs: ConfigDirs, loader: Any) -> Mistake:
    names = [name for name in loader.get_group_options("") if not name.startswith("_dummy")]
    folders = ", ".join(config_dirs.show(folder) or "." for folder in (config_dirs.main, *config_dirs.extra))
    hint = did_you_mean(config_dirs.config_name, names, "--config-name {}")
    problem = f"config not found: {config_dirs.config_name}.yaml (searched: {folders})"
    return Mistake("", problem, f"--config-name {config_dirs.config_name}", hint)


def primary_file(config_dirs: ConfigDirs) -> str:
    """Return the path of the primary config as messages show it."""
    file = config_file([config_dirs.main, *config_dirs.extra], config_dirs.config_name)
    return config_dirs.show(file) if file else config_dirs.config_name


def hidden_files(config_dirs: ConfigDirs, choices: Mapping[str, str]) -> list[Mistake]:
    """Return an error for each user file that a different file of the same name in another directory hides."""
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
                        f"{config_dirs.show(file)} and {config_dirs.show(other)} have the same name,"
                        " and the first would be used",
                        config_dirs.show(other),
                        f"rename {config_dirs.show(other)}",
                    )
                )
    return mistakes


def _same(file: Path, other: Path) -> bool:
    try:
        return read_bytes(file, MOST_YAML) == read_bytes(other, MOST_YAML)
    except OSError:
        return False
