"""Hydra's own launcher, which runs one job after the other in the process that it is called in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hforch.launchers.base import Launcher


class BasicLauncher(Launcher):
    class_name = "BasicLauncher"
    is_replaced = True

    def at_once(self, settings: Mapping[str, Any], jobs: int) -> int:
        return 1


LAUNCHER = BasicLauncher()
