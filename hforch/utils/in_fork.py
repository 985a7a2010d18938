"""Run a function in a short-lived fork of this process, so that the memory it uses is freed afterwards."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from hforch.errors import HforchError
from hforch.utils.process_lifetime import exit_with_parent

T = TypeVar("T")


def run_in_fork(work: Callable[[], T]) -> T:
    """Run `work` in a fork, and return its result or raise its exception; both must be picklable.

    Raises:
        HforchError: the fork died without a result.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    process = context.Process(target=_do, args=(work, ours, theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    try:
        worked, value = pickle.loads(ours.recv_bytes())
    except EOFError:
        process.join()
        raise HforchError(f"a forked process died with exit code {process.exitcode} and returned no result") from None
    finally:
        ours.close()
    process.join()
    if not worked:
        raise value
    return value


def _do(work: Callable[[], T], ours: Connection, theirs: Connection, parent: int) -> None:
    exit_with_parent(parent)
    ours.close()
    try:
        result = (True, work())
    except KeyboardInterrupt:
        return
    except Exception as error:
        result = (False, error)  # type: ignore[assignment]
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    theirs.send_bytes(pickle.dumps(result))
