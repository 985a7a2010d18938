"""Make child processes exit when the process that started them dies (Linux)."""

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
    """Have the kernel send this process a signal when its parent dies; exit immediately if the parent is already dead.

    Args:
        parent: the process id of the parent.
        by: the signal.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:
            os._exit(EXIT_INTERRUPTED)


def python_module(module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command for `python -P -m MODULE ARGUMENTS` as a child that is killed when this process ends."""
    return [sys.executable, "-P", "-c", RUN_MODULE, str(os.getpid()), module, *arguments]
