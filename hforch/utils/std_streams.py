"""Standard output and error streams that never fail.

Neither a reader that exits (`| head`) nor a full disk stops a run or changes its exit code.
"""

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
    """A file descriptor whose writes never fail: data that cannot be written is dropped.

    Attributes:
        lost: the first error; None while all writes succeeded.
        notice: the message printed to stderr when the reader has disconnected; None: no message.
    """

    lost: OSError | None = None
    notice: str | None = None

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
        """Whether output was lost although its reader had not disconnected."""
        return self.lost is not None and not isinstance(self.lost, BrokenPipeError)

    def _tell(self, error: OSError) -> None:
        if self.fileno() == STDERR:
            return
        if not isinstance(error, BrokenPipeError):
            print(f"cannot write to stdout: {(error.strerror or str(error)).lower()}", file=sys.stderr, flush=True)
        elif self.notice:
            print(self.notice, file=sys.stderr, flush=True)


def open_missing() -> None:
    """Open the descriptors 0 to 2 if the parent has closed them, so that no other file gets their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # opens the lowest free number
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def prepare() -> None:
    """Make stdout and stderr usable: open missing streams, and escape characters that cannot be encoded."""
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (stays open)
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Safe(io.TextIOWrapper):
    """A stream that escapes control characters, except in text written through `styled`.

    Attributes:
        redact: redacts credentials in the text.
    """

    redact: Callable[[str], str] = staticmethod(without_known)

    def write(self, text: str, /) -> int:
        super().write(for_terminal(self.redact(text)))
        return len(text)


class SafeErrors(Safe):
    """A `Safe` stream for stderr, which never shows model output and therefore also redacts by credential format."""

    redact = staticmethod(redacted)


class _Styled:
    def __init__(self, stream: Safe) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return io.TextIOWrapper.write(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def styled(stream: Any) -> Any:
    """Return the stream without escaping, for a writer of styled text that escapes it itself (`report/console.py`)."""
    return _Styled(stream) if isinstance(stream, Safe) else stream


def survive_closed_readers() -> None:
    """Make stdout and stderr of this process tolerate closed readers and escape control characters."""
    sys.stdout, sys.stderr = _outlasting(sys.stdout, Safe), _outlasting(sys.stderr, SafeErrors)


def _outlasting(stream: Any, kind: type[Safe]) -> Any:
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(_raw(stream), io.FileIO):
        return stream
    stream.flush()
    raw: Any = Outlet(stream.fileno(), "wb", closefd=False)
    is_buffered = stream.buffer is not _raw(stream)  # False with PYTHONUNBUFFERED
    return kind(
        io.BufferedWriter(raw) if is_buffered else raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def outlet() -> Outlet | None:
    """Return the outlet of stdout; None if stdout was replaced, as in tests."""
    raw = _raw(sys.stdout)
    return raw if isinstance(raw, Outlet) else None


def _raw(stream: Any) -> Any:
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


@contextmanager
def going_on(notice: str) -> Iterator[None]:
    """Print `notice` to stderr if the reader of stdout disconnects while the block runs; the block continues."""
    if (found := outlet()) is not None:
        found.notice = notice
    try:
        yield
    finally:
        if found is not None:
            found.notice = None
