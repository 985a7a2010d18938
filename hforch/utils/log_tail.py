"""Quote the end of a dead process's log in an error message."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hforch.errors import shown
from hforch.utils.paths import open_file
from hforch.utils.redaction import redacted, redacted_line

READ = 1 << 16  # bytes that are read from the end
LINES, LONGEST = 3, 200  # maximum number of quoted lines, and of characters in each
RECENT = 12  # an exception more than this many lines from the end was probably caught
LEGIBLE = 0.8  # minimum fraction of printable characters in a line

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
TRACEBACK = "Traceback (most recent call last):"
FATAL = "Fatal Python error: "  # printed by faulthandler
FRAME = 'File "'


def quoted_tail(log: Path, start: int = 0) -> str:
    """Return the last lines of a log that best explain why its process died, joined to one line, or an empty string.

    Args:
        start: the size of the log in bytes before the process wrote to it.
    """
    with suppress(OSError), open_file(log) as file:
        text = redacted(ESCAPES.sub("", tail(file.fileno(), start).decode("utf-8", "replace")))
        told = _informative([line.rstrip() for line in re.split(r"[\r\n]+", text) if _is_legible(line)])
        return " | ".join(shown(redacted_line(line.strip()), LONGEST) for line in told)
    return ""


def tail(file: int, start: int = 0) -> bytes:
    """Return the last lines of an open file, at most `READ` bytes, without moving its position."""
    size = os.fstat(file).st_size
    begin = max(start, size - READ)
    end = os.pread(file, READ, begin)
    return end if begin == start else b"".join(end.splitlines(keepends=True)[1:])


def size_of(path: Path) -> int:
    """Return the size of a file in bytes; 0 if it does not exist."""
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _is_legible(line: str) -> bool:
    """Return whether a line contains words, and not only a progress bar or binary data."""
    good = sum(one.isprintable() and one != "\N{REPLACEMENT CHARACTER}" for one in line)
    return good >= LEGIBLE * len(line) and re.search(r"[^\W\d_]{3}", line) is not None


def _informative(lines: list[str]) -> list[str]:
    """Return the lines of faulthandler's report, or the last exception and its location, or the last lines."""
    fatal = _last(lines, lambda line: line.startswith(FATAL))
    if fatal is not None:
        return [lines[fatal], *[line for line in lines[fatal:] if line.lstrip().startswith(FRAME)][:1]]
    traceback = _last(lines, lambda line: line == TRACEBACK)
    if traceback is not None:
        rest = lines[traceback + 1 :]
        at = next((at for at, line in enumerate(rest) if not line.startswith(" ")), None)
        if at is not None and len(rest) - at <= RECENT:
            frames = [line for line in rest[:at] if line.lstrip().startswith(FRAME)]
            return [*rest[at : at + LINES - 1], *frames[-1:]]
    return lines[-LINES:]


def _last(lines: list[str], is_it: Callable[[str], bool]) -> int | None:
    return next((at for at in range(len(lines) - 1, -1, -1) if is_it(lines[at])), None)
