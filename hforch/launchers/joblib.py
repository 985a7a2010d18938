"""hydra-joblib-launcher: several processes on this machine, each of which runs jobs one after another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from hforch.launchers.base import Launcher
from hforch.utils.process_lifetime import exit_with_parent


class JoblibLauncher(Launcher):
    class_name = "JoblibLauncher"
    divides_threads = True
    recipe_settings: ClassVar[Mapping[str, str]] = {"batch_size": "auto", "pre_dispatch": r"all|\d+\*n_jobs"}

    def concurrent_jobs(self, settings: Mapping[str, Any], jobs: int) -> int | None:
        number = settings.get("n_jobs")
        if not isinstance(number, int) or number == 0:
            return None
        cores = len(os.sched_getaffinity(0))
        return max(1, min(jobs, number if number > 0 else cores + 1 + number))  # n_jobs=-1: all cores

    def configure(self, launcher: Any) -> None:
        launcher.joblib.update(initializer=exit_with_parent, initargs=(os.getpid(),))  # passed to joblib.Parallel


LAUNCHER = JoblibLauncher()
