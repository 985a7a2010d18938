"""Built-in options of config groups as plain data."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from hforch.config.config_dirs import conf_dir


def options(group: str) -> list[str]:
    """Return the names of the built-in options of a group."""
    return sorted(file.stem for file in (conf_dir() / group).glob("*.yaml"))


@cache
def option(group: str, name: str) -> dict[str, Any]:
    """Return the content of conf/GROUP/NAME.yaml, such as the defaults in `option("generation", "greedy")`."""
    return dict(yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8")))


def option_names(group: str) -> list[str]:
    """Return the names of the built-in options of a group; none if there is no such group."""
    return sorted(file.stem for file in (conf_dir() / group).glob("*.yaml"))
