"""The base class of launcher adapters, which describe Hydra launchers to hforch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Launcher:
    """A description of how a launcher runs jobs; the base class has the defaults for launchers without an adapter.

    Attributes:
        package: the package that provides the launcher, for the error if it is not installed.
        extra: the extra of hforch that installs the package; empty if none does.
        class_name: the name of Hydra's launcher class, the last part of `_target_`.
        run_by_hforch: whether hforch runs the jobs itself, without calling the launcher.
        divides_threads: whether concurrent jobs share this machine's CPUs, so that each gets a part of the threads.
        keeps_processes: whether a process runs several jobs, so that a loaded model is worth keeping.
        shares_files: whether the processes write to the sweep's directory on this machine while they run.
        recipe_settings: regular expressions, by key, for values other than numbers that a recipe or record may set.
    """

    package: ClassVar[str] = ""
    extra: ClassVar[str] = ""
    class_name: ClassVar[str] = ""
    run_by_hforch: ClassVar[bool] = False
    divides_threads: ClassVar[bool] = False
    keeps_processes: ClassVar[bool] = True
    shares_files: ClassVar[bool] = True
    recipe_settings: ClassVar[Mapping[str, str]] = {}

    def concurrent_jobs(self, settings: Mapping[str, Any], jobs: int) -> int | None:
        """Return the number of jobs that run at the same time, or None if unknown.

        Args:
            settings: the launcher's settings, `hydra.launcher`.
            jobs: the number of jobs.
        """
        return None

    def mistakes(self, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the key and the problem of each setting that the launcher would reject or fail with.

        Args:
            settings: the launcher's settings with interpolations resolved; Hydra has checked their types.
        """
        yield from ()

    def configure(self, launcher: Any) -> None:
        """Configure the launcher's library, for example to call a function when each of its processes starts.

        Args:
            launcher: Hydra's launcher object, before `launch` is called.
        """

    def may_be_set(self, key: str, value: str) -> bool:
        """Return whether a recipe or record may set a key, such as `n_jobs`, to a value, given as a string."""
        return bool(
            NUMBER.fullmatch(value) or (key in self.recipe_settings and re.fullmatch(self.recipe_settings[key], value))
        )
