"""A project: a directory with conf/project.yaml, which replaces --config-dir conf --config-name project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hforch.config import yaml_nodes
from hforch.config.config_dirs import ConfigDirs, conf_dir
from hforch.config.diagnose.origins import config_file
from hforch.config.hydra_adapter.nodes import yaml_loader
from hforch.config.yaml_nodes import read_yaml

DIRECTORY, NAME = "conf", "project"
EXTENDS_CONFIG = re.compile(r"^\s*-\s*config\s*(#.*)?$|^defaults:\s*\[\s*config\b", re.MULTILINE)
"""An entry `config` of a defaults list. Files of other programs do not have it."""


def found_project() -> Path | None:
    """Return the project file in the current directory, or None; it must extend `config`."""
    file = Path(DIRECTORY, f"{NAME}.yaml")
    try:
        return file if file.is_file() and EXTENDS_CONFIG.search(read_yaml(file)) else None
    except Exception:  # not the file of a project, or not readable
        return None


def selected_groups(overrides: Sequence[str]) -> dict[str, str]:
    """Return the groups of which overrides select an option, each with the override."""
    from hforch.config.keys import groups  # imports pydantic, which `hforch --help` does not need

    found = {}
    for text in overrides:
        group, sign, option = text.lstrip("+").partition("=")
        if sign and group in groups() and not option.lstrip().startswith("{"):
            found[group] = text
    return found


def replaced_values(config_dirs: ConfigDirs, selected: Mapping[str, str]) -> Iterator[str]:
    """Yield a note for each group whose values in the user's primary config do not apply.

    Args:
        selected: the groups of which the command line or a recipe selects an option, each with what selects it.
    """
    file, data = _primary(config_dirs)
    for group, what in selected.items():
        if file is not None and isinstance(data.get(group), dict) and data[group]:
            names = ", ".join(map(str, data[group]))
            yield f"{what} replaces the values of {group} in {config_dirs.show(file)}: {names}"


def overridden_options(config_dirs: ConfigDirs, selected: Mapping[str, str]) -> Iterator[str]:
    """Yield a note for each value of a user's option that differs from the value next to it in the primary config.

    Args:
        selected: as for `replaced_values`; these groups are skipped.
    """
    file, data = _primary(config_dirs)
    entries = data.get("defaults")
    for entry in entries if isinstance(entries, list) else ():
        for key, option in entry.items() if isinstance(entry, dict) else ():
            group = str(key).removeprefix("override ").strip()
            own = data.get(group)
            there = config_file(config_dirs.extra, f"{group}/{option}") if isinstance(option, str) else None
            if file is None or there is None or group in selected or not isinstance(own, dict):
                continue
            values = _read(there)
            for name in (name for name in own if name in values and values[name] != own[name]):
                line = yaml_nodes.find(file, (group, str(name))).line
                yield (
                    f"{config_dirs.show(file)}:{line} sets {group}.{name}={own[name]}, which replaces {values[name]} of"
                    f" {group}={option} ({config_dirs.show(there)})"
                )


def _primary(config_dirs: ConfigDirs) -> tuple[Path | None, Mapping[str, Any]]:
    """Return the user's primary config and its contents; None and {} if the primary config is the built-in one."""
    file = config_file([config_dirs.main, *config_dirs.extra], config_dirs.config_name)
    if file is None or file.is_relative_to(conf_dir()):
        return None, {}
    return file, _read(file)


def _read(file: Path) -> Mapping[str, Any]:
    """Return the contents of a config file; {} if it cannot be read, which is reported when it is composed."""
    import yaml

    try:
        found = yaml.load(read_yaml(file), Loader=yaml_loader())
    except Exception:  # any error in YAML or in reading
        return {}
    return found if isinstance(found, dict) else {}
