"""Paths as people write them, and files that other people have named."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
MOST_READ = 2**31
"""Bytes of a file that is read as a whole, unless said otherwise."""


def expanded(path: str | Path) -> Path:
    """A path with `~` and `~name` replaced; as a shell does, one of an unknown name is left as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib's own raises RuntimeError for an unknown name)


def open_file(path: Path, most: int | None = None) -> BinaryIO:
    """Open a file for reading, if it is one: a pipe may never say anything, and a device never end.

    Args:
        most: bytes that it may have.

    Raises:
        OSError: it cannot be read, is something else, or is too large.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(opened)
        if kind := _kind(found.st_mode):
            raise OSError(errno.EINVAL, f"{kind}, where a file is needed", str(path))
        if most is not None and found.st_size > most:
            problem = f"too large: {found.st_size:,} bytes, and at most {most:,} can be read"
            raise OSError(errno.EOVERFLOW, problem, str(path))
        return os.fdopen(opened, "rb")
    except BaseException:
        os.close(opened)
        raise


def read_bytes(path: Path, most: int = MOST_READ) -> bytes:
    """The bytes of a file; errors as `open_file`."""
    with open_file(path, most) as file:
        return file.read(most + 1)


def read_text(path: Path, encoding: str = "utf-8", most: int = MOST_READ) -> str:
    """The text of a file, its line ends as `\\n`; errors as `open_file`, and UnicodeDecodeError."""
    return read_bytes(path, most).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def kind_of_file(path: Path) -> str | None:
    """What is there if it is no file, such as `a folder`; None for a file, and where there is nothing."""
    try:
        return _kind(path.stat().st_mode)
    except OSError:
        return None


def is_special(path: Path) -> bool:
    """Whether a path is a pipe, a socket or a device, which may block whoever opens it."""
    return kind_of_file(path) not in (None, "a folder")


def _kind(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return None
    return next((name for is_kind, name in KINDS if is_kind(mode)), "something else")
