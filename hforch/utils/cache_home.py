"""Where hforch keeps what is slow to make."""

from __future__ import annotations

import os
from pathlib import Path

from hforch.errors import ConfigError, Mistake
from hforch.utils.paths import expanded


def cache_home() -> Path:
    """The cache's directory, whether it exists or not."""
    chosen = os.environ.get("HFORCH_CACHE")
    if chosen:
        found = expanded(chosen)
        if str(found).startswith("~"):
            name = found.parts[0].removeprefix("~")
            problem = f"HFORCH_CACHE={chosen}: there is no user {name}, or nobody knows their home"
            raise ConfigError([Mistake("", problem, hint="give a whole path")])
        return found.absolute()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("hforch"))
