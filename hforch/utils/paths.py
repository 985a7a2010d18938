"""Expand paths that users enter, and open untrusted files safely."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
MOST_READ = 2**31
"""The default maximum size in bytes of a file that is read as a whole."""


def expanded(path: str | Path) -> Path:
    """Return a path with `~` and `~name` expanded; like a shell, leave `~name` of an unknown user unchanged."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (Path.expanduser raises RuntimeError for an unknown user)


def open_file(path: Path, most: int | None = None) -> BinaryIO:
    """Open a regular file for reading; reject pipes, which may block forever, and devices, which may never end.

    Args:
        most: the maximum size in bytes.

    Raises:
        OSError: the file cannot be read, is not a regular file, or is too large.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(opened)
        if kind := _kind(found.st_mode):
            raise OSError(errno.EINVAL, f"{kind}, not a file", str(path))
        if most is not None and found.st_size > most:
            problem = f"too large: {found.st_size:,} bytes (maximum {most:,})"
            raise OSError(errno.EOVERFLOW, problem, str(path))
        return os.fdopen(opened, "rb")
    except BaseException:
        os.close(opened)
        raise


def read_bytes(path: Path, most: int = MOST_READ) -> bytes:
    """Return the bytes of a file; raise the errors of `open_file`."""
    with open_file(path, most) as file:
        return file.read(most + 1)


def read_text(path: Path, encoding: str = "utf-8", most: int = MOST_READ) -> str:
    """Return the text of a file with `\\n` line ends; raise the errors of `open_file`, and UnicodeDecodeError."""
    return read_bytes(path, most).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def kind_of_file(path: Path) -> str | None:
    """Return what a path is if not a regular file, such as `a directory`; None for a file or a missing path."""
    try:
        return _kind(path.stat().st_mode)
    except OSError:
        return None


def is_special(path: Path) -> bool:
    """Return whether a path is a pipe, a socket or a device, which may block when opened."""
    return kind_of_file(path) not in (None, "a directory")


def _kind(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    return next((name for is_kind, name in KINDS if is_kind(mode)), "something else")
