"""hydra-joblib-launcher: several processes on this machine, each of which runs jobs one after another."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from hforch.launchers.base import Launcher
from hforch.utils.process_lifetime import exit_with_parent

ALLOWED = {
    "n_jobs": (r"-?0*[1-9]\d*", "a number of processes, or -1 for all CPUs"),
    "prefer": ("processes|threads", "processes or threads"),
    "require": ("(?!)", "null, because the launcher runs jobs in processes"),
    "batch_size": (r"auto|0*[1-9]\d*", "auto, or at least 1"),
    "pre_dispatch": (r"all|0*[1-9]\d*|[\d.*/+() -]*n_jobs[\d.*/+() -]*", "all, at least 1, or an expression of n_jobs"),
    "max_nbytes": (r"\d+(\.\d+)?[KMG]", "null, or a size such as 50K, 10M or 1G"),
}
"""Regular expressions for the values that joblib accepts, with their descriptions."""


class JoblibLauncher(Launcher):
    package = "hydra-joblib-launcher"
    extra = "joblib"
    class_name = "JoblibLauncher"
    divides_threads = True
    recipe_settings: ClassVar[Mapping[str, str]] = {"batch_size": "auto", "pre_dispatch": r"all|\d+\*n_jobs"}

    def concurrent_jobs(self, settings: Mapping[str, Any], jobs: int) -> int | None:
        number = settings.get("n_jobs")
        if not isinstance(number, int) or number == 0:
            return None
        cores = len(os.sched_getaffinity(0))
        return max(1, min(jobs, number if number > 0 else cores + 1 + number))  # n_jobs=-1: all cores

    def mistakes(self, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for key, (allowed, problem) in ALLOWED.items():
            value = settings.get(key)
            if value is not None and not re.fullmatch(allowed, str(value)):
                yield key, f"must be {problem}; got {value!r}"
        if (timeout := settings.get("timeout")) is not None and timeout <= 0:
            yield "timeout", f"must be greater than 0, or null for no limit; got {timeout}"

    def configure(self, launcher: Any) -> None:
        launcher.joblib.update(initializer=exit_with_parent, initargs=(os.getpid(),))  # passed to joblib.Parallel


LAUNCHER = JoblibLauncher()
