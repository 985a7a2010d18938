"""What differs in a notebook or an IPython shell: whether this process is a kernel, and how errors are shown."""

from __future__ import annotations

import copy
import sys
import sysconfig
from pathlib import Path
from types import TracebackType
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = (str(PACKAGE), *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    return type(_shell()).__name__ == "ZMQInteractiveShell"


def short_traceback(error: Exception) -> list[str]:
    """Return IPython's traceback of an error with the frames of the caller's code only, and without its causes.

    Frames start at the first one outside of libraries and end before the next one inside.
    """
    bare = copy.copy(error)  # without __cause__ and __context__
    frames = _own(error.__traceback__)
    lines: list[str] = _shell().InteractiveTB.structured_traceback(type(bare), bare, frames)
    return lines


def full_traceback(error: Exception) -> list[str]:
    """Return IPython's usual traceback of an error."""
    lines: list[str] = _shell().InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
    return lines


def _shell() -> Any:
    """Return IPython's shell, or None."""
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None


def _own(found: TracebackType | None) -> TracebackType | None:
    """Return a copy of the part of a traceback that is outside of libraries, up to the first call of a library."""
    while found is not None and _is_library(found):
        found = found.tb_next
    if found is None or _is_library(found):
        return None
    rest = found.tb_next if found.tb_next is not None and not _is_library(found.tb_next) else None
    return TracebackType(_own(rest), found.tb_frame, found.tb_lasti, found.tb_lineno)


def _is_library(found: TracebackType) -> bool:
    file = found.tb_frame.f_code.co_filename
    return "site-packages" in file or file.startswith(LIBRARIES)
