"""Hydra's basic launcher: runs jobs one after another in the calling process."""

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
