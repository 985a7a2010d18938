"""Remove credentials from logs, streams and files."""

from __future__ import annotations

import io
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from hforch.utils.redaction import redacted, redacted_line


# ---------------------------------------------------------------- logs
class RedactingFormatter(logging.Formatter):
    """A formatter that redacts credentials in the output of another formatter."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return redacted_line(self._inner.format(record))


def redact_logging() -> None:
    """Make all existing log handlers redact credentials."""
    loggers = [logging.getLogger(), *(one for one in logging.root.manager.loggerDict.values())]
    for logger in loggers:
        for handler in logger.handlers if isinstance(logger, logging.Logger) else ():
            if not isinstance(handler.formatter, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter()))


class RedactingStream(io.TextIOWrapper):
    """A stream that redacts credentials in log lines."""

    def write(self, text: str, /) -> int:
        super().write(redacted_line(text))
        return len(text)


def redacting(number: int, before: Any) -> RedactingStream:
    """Return an unbuffered redacting stream that writes to a file descriptor and replaces the stream `before`."""
    before.flush()
    raw: Any = io.FileIO(number, "wb", closefd=False)
    return RedactingStream(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def redact_file(path: Path) -> None:
    """Redact credentials in a log file, in place, since other processes may append to it."""
    with suppress(OSError), path.open("r+b") as file:
        before = file.read()
        text = before.decode("utf-8", "surrogateescape")
        after = "".join(map(redacted_line, redacted(text).splitlines(keepends=True)))
        if after != text:
            file.seek(0)
            file.write(after.encode("utf-8", "surrogateescape"))
            file.truncate()
