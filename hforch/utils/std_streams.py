"""Standard output and error of a process of ours: who reads them may go away (`| head`), or their disk may be full,
and neither ends what is being run, nor changes how it ended."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hforch.utils.redaction import redacted, without_known
from hforch.utils.sanitize import for_terminal

STDERR = 2


class Outlet(io.FileIO):
    """A file descriptor whose writes never fail: what cannot be written is left out.

    Attributes:
        lost: the first error; None as long as all was written.
        told: what stderr is told when nobody reads any more; None: nothing.
    """

    lost: OSError | None = None
    told: str | None = None

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except BlockingIOError:
            raise
        except OSError as error:
            if self.lost is None:
                self.lost = error
                self._tell(error)
            return len(memoryview(data).cast("B"))

    @property
    def is_incomplete(self) -> bool:
        """Whether somebody who still reads misses something."""
        return self.lost is not None and not isinstance(self.lost, BrokenPipeError)

    def _tell(self, error: OSError) -> None:
        if self.fileno() == STDERR:
            return
        if not isinstance(error, BrokenPipeError):
            print(f"what is printed is lost: {(error.strerror or str(error)).lower()}", file=sys.stderr, flush=True)
        elif self.told:
            print(self.told, file=sys.stderr, flush=True)


def open_missing() -> None:
    """Open what a parent has closed of the descriptors 0 to 2, before a file of ours takes its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def prepare() -> None:
    """Make sure that something can be printed: what a terminal cannot show must not end a run."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open to the end)
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Safe(io.TextIOWrapper):
    """A stream on which nothing that is printed is obeyed by a terminal, but what `styled` lets through.

    Attributes:
        redact: takes the credentials out of what is printed.
    """

    redact: Callable[[str], str] = staticmethod(without_known)

    def write(self, text: str, /) -> int:
        super().write(for_terminal(self.redact(text)))
        return len(text)


class SafeErrors(Safe):
    """The same for stderr, where no model's text goes."""

    redact = staticmethod(redacted)


class _Styled:
    def __init__(self, stream: Safe) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return io.TextIOWrapper.write(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def styled(stream: Any) -> Any:
    """The same stream for a writer of styles, who makes what it writes safe by itself, as `report/console.py` does."""
    return _Styled(stream) if isinstance(stream, Safe) else stream


def survive_closed_readers() -> None:
    """From here on, stdout and stderr of this process take what nobody reads, and give a terminal nothing but text."""
    sys.stdout, sys.stderr = _outlasting(sys.stdout, Safe), _outlasting(sys.stderr, SafeErrors)


def _outlasting(stream: Any, kind: type[Safe]) -> Any:
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(_raw(stream), io.FileIO):
        return stream
    stream.flush()
    raw: Any = Outlet(stream.fileno(), "wb", closefd=False)
    is_buffered = stream.buffer is not _raw(stream)  # it is not under PYTHONUNBUFFERED
    return kind(
        io.BufferedWriter(raw) if is_buffered else raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def outlet() -> Outlet | None:
    """That of stdout; None if it is a stream of somebody else's, as in tests."""
    raw = _raw(sys.stdout)
    return raw if isinstance(raw, Outlet) else None


def _raw(stream: Any) -> Any:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


@contextmanager
def going_on(told: str) -> Iterator[None]:
    """What is done meanwhile goes on when nobody reads stdout any more, and stderr is told so."""
    if (found := outlet()) is not None:
        found.told = told
    try:
        yield
    finally:
        if found is not None:
            found.told = None
