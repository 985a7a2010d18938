"""Logs, streams and files without credentials."""

from __future__ import annotations

import io
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from hforch.utils.redaction import redacted, redacted_line


# ---------------------------------------------------------------- logs
class RedactingFormatter(logging.Formatter):
    """A formatter that takes the credentials out of what another one makes."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redacted_line(self._inner.format(record))


def redact_logging() -> None:
    """Take credentials out of what the handlers of all loggers write from here on."""
    loggers = [logging.getLogger(), *(one for one in logging.root.manager.loggerDict.values())]
    for logger in loggers:
        for handler in logger.handlers if isinstance(logger, logging.Logger) else ():
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter()))


class RedactingStream(io.TextIOWrapper):
    """A stream of log lines without credentials."""

    def write(self, text: str, /) -> int:
        super().write(redacted_line(text))
        return len(text)


def redacting(number: int, before: Any) -> RedactingStream:
    """Return a stream of log lines over a file descriptor, in the place of another one, with nothing held back."""
    before.flush()
    raw: Any = io.FileIO(number, "wb", closefd=False)
    return RedactingStream(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def redact_file(path: Path) -> None:
    """Take credentials out of a log that native code may have written to, in place: others may append to it."""
    with suppress(OSError), path.open("r+b") as file:
        before = file.read()
        text = before.decode("utf-8", "surrogateescape")
        after = "".join(map(redacted_line, redacted(text).splitlines(keepends=True)))
        if after != text:
            file.seek(0)
            file.write(after.encode("utf-8", "surrogateescape"))
            file.truncate()
