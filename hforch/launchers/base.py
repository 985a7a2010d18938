"""What hforch has to know of one of Hydra's launchers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Launcher:
    """How a launcher runs the jobs of a sweep; as it stands, what is assumed of one without an adapter.

    Attributes:
        class_name: the name of Hydra's class, with which its dotted name (`_target_`) ends.
        run_by_hforch: whether hforch runs the jobs itself instead.
        divides_threads: whether jobs that run at the same time share the processor of this machine, so that each gets
            a part of its threads.
        keeps_processes: whether a process goes on to the next job, so that its loaded model is worth keeping.
        shares_files: whether its processes write into the sweep's directory on this machine while they run.
        recipe_settings: what a recipe or a record may set besides numbers, by key a regular expression for its values.
    """

    class_name: ClassVar[str] = ""
    run_by_hforch: ClassVar[bool] = False
    divides_threads: ClassVar[bool] = False
    keeps_processes: ClassVar[bool] = True
    shares_files: ClassVar[bool] = True
    recipe_settings: ClassVar[Mapping[str, str]] = {}

    def concurrent_jobs(self, settings: Mapping[str, Any], jobs: int) -> int | None:
        """Return how many jobs run at the same time, None if that is not known.

        Args:
            settings: those of the launcher, `hydra.launcher`.
            jobs: how many there are.
        """
        return None

    def configure(self, launcher: Any) -> None:
        """Set what its library needs, such as a function that each of its processes calls at its start.

        Args:
            launcher: Hydra's object, before its `launch` is called.
        """

    def may_be_set(self, key: str, value: str) -> bool:
        """Return whether a recipe or a record may set a key, such as `n_jobs`, to a value that is written like this."""
        return bool(
            NUMBER.fullmatch(value) or (key in self.recipe_settings and re.fullmatch(self.recipe_settings[key], value))
        )
