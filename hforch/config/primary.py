"""The primary config: that it is there, and that no other file of its name or of an option's was meant."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hforch.config.files import file_mistakes
from hforch.config.nearest import did_you_mean
from hforch.config.places import Places
from hforch.config.sources import config_file
from hforch.config.yaml_nodes import MOST_YAML
from hforch.errors import Mistake
from hforch.paths import read_bytes


def primary_mistakes(places: Places, loader: Any) -> list[Mistake]:
    """What is wrong with the primary config and with the files that its defaults list leads to."""
    if not loader.repository.config_exists(places.config_name):
        return [_no_such_config(places, loader)]
    return list(file_mistakes(places, loader, places.config_name))


def _no_such_config(places: Places, loader: Any) -> Mistake:
    names = [name for name in loader.get_group_options("") if not name.startswith("_dummy")]
    folders = ", ".join(places.show(folder) or "." for folder in (places.main, *places.extra))
    hint = did_you_mean(places.config_name, names, "--config-name {}")
    problem = f"there is no config {places.config_name}.yaml in {folders}"
    return Mistake("", problem, f"--config-name {places.config_name}", hint)


def primary_file(places: Places) -> str:
    """The primary config as a person would name it."""
    file = config_file([places.main, *places.extra], places.config_name)
    return places.show(file) if file else places.config_name


def hidden_files(places: Places, choices: Mapping[str, str]) -> list[Mistake]:
    """A user's files that were meant, but that another folder's file of the same name comes before."""
    if not places.extra:
        return []
    names = {"": places.config_name, **{group: f"{group}/{option}" for group, option in choices.items()}}
    mistakes = []
    for group, name in names.items():
        file = config_file([places.main], name)
        for folder in places.extra if file else ():
            other = config_file([folder], name)
            if file and other and not _same(file, other):
                mistakes.append(
                    Mistake(
                        group,
                        f"{places.show(file)} and {places.show(other)} have one name, and the first would be taken",
                        places.show(other),
                        f"give {places.show(other)} a name of its own",
                    )
                )
    return mistakes


def _same(file: Path, other: Path) -> bool:
    try:
        return read_bytes(file, MOST_YAML) == read_bytes(other, MOST_YAML)
    except OSError:
        return False
