"""Files of the cache: their sizes, room for them, and what goes wrong with them."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hforch.errors import ModelError, ModelUnavailable
from hforch.utils.cache_home import cache_home

MB = 1_000_000
FULL = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (*FULL, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)


def remove_tree(path: Path) -> None:
    """Remove a directory that lies in the cache, and all that is in it; of a link only the link.

    Raises:
        OSError: it cannot be removed.
        ModelError: it does not lie in the cache.
    """
    within = cache_home().resolve()
    place = path.parent.resolve() / path.name
    if within not in place.parents or path.name in ("", ".", ".."):
        raise ModelError(f"{path} does not lie in the cache {within}, and is not removed.")
    if place.is_symlink():
        place.unlink()
    else:
        shutil.rmtree(place)


def size_mb(path: Path) -> float:
    """The regular files below a directory, in MB."""
    sizes = (file.stat().st_size for file in path.rglob("*") if file.is_file())
    return round(sum(sizes) / MB, 3)


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise ModelError unless the disk that holds `folder` has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelUnavailable(
            f"Not enough disk space to {purpose}: about {needed / MB:,.1f} MB are needed in {cache_home()}, and "
            f"{free / MB:,.1f} MB are free. Make room (hforch doctor lists what is cached), or set HFORCH_CACHE to a "
            "folder on a larger disk."
        )


@contextmanager
def clear_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            problem = f"The disk that holds the cache {cache_home()} is full."
        elif error.errno == errno.EFBIG:
            problem = (
                f"A file in the cache {cache_home()} may not become as large as it has to be (ulimit -f, or a quota)."
            )
        elif error.errno in (*UNWRITABLE, errno.EEXIST):
            problem = f"The cache {cache_home()} cannot be written: {error.strerror or error}."
        else:
            raise
        ways = "Make room (hforch doctor lists what is cached), or set" if "full" in problem else "Set"
        raise ModelUnavailable(f"{problem} {ways} HFORCH_CACHE to a folder with room that you may write.") from error


def directories_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
