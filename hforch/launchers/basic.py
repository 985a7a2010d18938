"""Hydra's own launcher, which runs one job after the other in the process that it is called in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hforch.launchers.base import Launcher


class BasicLauncher(Launcher):
    class_name = "BasicLauncher"
    run_by_hforch = True

    def concurrent_jobs(self, settings: Mapping[str, Any], jobs: int) -> int:
        return 1


LAUNCHER = BasicLauncher()
