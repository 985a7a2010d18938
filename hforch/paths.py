"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """A path with `~` and `~name` replaced; as a shell does, one of an unknown name is left as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib's own raises RuntimeError for an unknown name)
