"""The directory of hforch's cache, which holds exported models and other results that are slow to produce."""

from __future__ import annotations

import os
from pathlib import Path

from hforch.errors import ConfigError, Mistake
from hforch.utils.paths import expanded


def cache_home() -> Path:
    """Return the cache directory, which need not exist.

    Raises:
        ConfigError: HFORCH_CACHE starts with `~NAME`, and that user has no home directory.
    """
    chosen = os.environ.get("HFORCH_CACHE")
    if chosen:
        found = expanded(chosen)
        if str(found).startswith("~"):
            name = found.parts[0].removeprefix("~")
            problem = f"HFORCH_CACHE={chosen}: user {name} does not exist or has no home directory"
            raise ConfigError([Mistake("", problem, hint="use an absolute path")])
        return found.absolute()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("hforch"))
