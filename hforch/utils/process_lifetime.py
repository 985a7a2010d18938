"""Child processes that end with the process that started them (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

from hforch.errors import EXIT_INTERRUPTED

PR_SET_PDEATHSIG = 1

RUN_MODULE = """
import ctypes, os, runpy, signal, sys
parent, module = int(sys.argv[1]), sys.argv[2]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
sys.argv[:] = sys.argv[2:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def exit_with_parent(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends; exit at once if the parent has ended already.

    Args:
        parent: the process id of the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:
            os._exit(EXIT_INTERRUPTED)


def python_module(module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command for `python -P -m MODULE ARGUMENTS` as a child of this process that is killed when it ends."""
    return [sys.executable, "-P", "-c", RUN_MODULE, str(os.getpid()), module, *arguments]
