"""Helpers for files of the cache: sizes, deletion, free space, and clear errors."""

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
    """Delete a directory in the cache with its contents. If it is a symbolic link, only the link is deleted.

    Raises:
        OSError: the directory cannot be deleted.
        ModelError: the directory is not in the cache.
    """
    within = cache_home().resolve()
    place = path.parent.resolve() / path.name
    if within not in place.parents or path.name in ("", ".", ".."):
        raise ModelError(f"{path} is outside the cache {within} and was not deleted.")
    if place.is_symlink():
        place.unlink()
    else:
        shutil.rmtree(place)


def size_mb(path: Path) -> float:
    """Return the total size of the regular files below a directory, in MB of 10^6 bytes."""
    sizes = (file.stat().st_size for file in path.rglob("*") if file.is_file())
    return round(sum(sizes) / MB, 3)


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise ModelUnavailable unless the disk of a directory has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelUnavailable(
            f"Not enough disk space to {purpose}: {needed / MB:,.1f} MB needed, {free / MB:,.1f} MB free in "
            f"'{cache_home()}'. Free some space (hforch doctor lists cache entries), or set HFORCH_CACHE to a "
            "directory on a larger disk."
        )


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn errors raised while writing to the cache into ModelUnavailable with a hint.

    Raises:
        ModelUnavailable: the disk is full, a file exceeds the size limit, or the cache is not writable.
    """
    try:
        yield
    except OSError as error:
        cache = cache_home()
        if error.errno in FULL:
            problem = f"No space left on the disk of the cache ('{cache}')."
        elif error.errno == errno.EFBIG:
            problem = f"A file in the cache '{cache}' exceeds the maximum file size (ulimit -f, or a quota)."
        elif error.errno in (*UNWRITABLE, errno.EEXIST):
            problem = f"Cannot write to the cache '{cache}': {(error.strerror or str(error)).lower()}."
        else:
            raise
        ways = "Free some space (hforch doctor lists cache entries), or set" if error.errno in FULL else "Set"
        raise ModelUnavailable(f"{problem} {ways} HFORCH_CACHE to a writable directory with enough space.") from error


def directories_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
