"""One shipped option of one config group, read as plain data."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from hforch.config.config_dirs import conf_dir


@cache
def option(group: str, name: str) -> dict[str, Any]:
    """The content of conf/GROUP/NAME.yaml; such as `option("generation", "greedy")`, where its defaults live."""
    return dict(yaml.safe_load((conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8")))
