"""Write files atomically."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: Path, binary: bool = False) -> Iterator[IO[Any]]:
    """Open a temporary file that replaces `path` when the block succeeds; an error leaves `path` unchanged.

    Args:
        binary: whether to open the file for bytes instead of UTF-8 text.

    Raises:
        OSError: the file cannot be written; the temporary file is deleted.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") if binary else unfinished.open("w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        with suppress(OSError, ValueError):
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # Python sets no file name when a write fails
        raise


@contextmanager
def output(path: Path) -> Iterator[IO[str]]:
    """Open an output file like `replacing`, but follow links, and write to devices and pipes directly."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        yield file


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically; see `replacing`."""
    with replacing(path) as file:
        file.write(text)


def write_output(path: Path, text: str) -> None:
    """Write a text file whose path the user passed; see `output`."""
    with output(path) as file:
        file.write(text)
