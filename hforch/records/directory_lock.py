"""A lock on the directory of a run or sweep, so that one process writes there at a time."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from filelock import lock_descriptor

from hforch.errors import HforchError
from hforch.utils.datafiles import parse_json
from hforch.utils.paths import open_file

OWNER = ".hforch.owner"  # who writes in a directory, on file systems without locks
LONGEST_OWNER = 4096  # bytes of it
PATIENCE_S = 10.0
_locked: dict[Path, int] = {}  # by this process, each with the thread


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let no other process or thread run in a directory meanwhile; this one may lock it again within.

    Raises:
        HforchError: one does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    own = directory.resolve()
    if is_locked(directory):
        yield
        return
    lock = os.open(directory, os.O_RDONLY)
    try:
        try:
            _insist(partial(_lock, lock), directory)
            owned = None
        except OSError:  # a file system without locks
            owned = directory / OWNER
            _insist(partial(_own, owned), directory)
        _locked[own] = threading.get_ident()
        try:
            yield
        finally:
            del _locked[own]
            if owned:
                owned.unlink(missing_ok=True)
    finally:
        os.close(lock)


def is_locked(directory: Path) -> bool:
    """Whether this thread has locked a directory."""
    return _locked.get(directory.resolve()) == threading.get_ident()


def _insist(take: Callable[[], None], directory: Path) -> None:
    """Take a lock; who was killed may need a moment to let go of it."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return take()
        except (BlockingIOError, FileExistsError) as error:
            if time.monotonic() > until:
                who = f" ({error})" if isinstance(error, FileExistsError) else ""
                hint = "wait until it has ended, or give another directory"
                raise HforchError(f"another run is writing in {directory}{who}\n    {hint}") from None
            time.sleep(0.1)


def _lock(descriptor: int) -> None:
    """Lock a directory that is open. A lock of the directory itself leaves no file in it, as a FileLock would.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the file system has no locks.
    """
    if not lock_descriptor(descriptor, blocking=False):
        raise BlockingIOError


def _own(file: Path) -> None:
    """Create a file that says who writes in its directory, unless one says so already whose process may still be there.

    Raises:
        FileExistsError: one does; it says who.
    """
    while True:
        try:
            with file.open("x", encoding="utf-8") as created:
                own = {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}
                created.write(json.dumps(own))
            return
        except FileExistsError:
            with suppress(FileNotFoundError):
                with open_file(file) as opened:
                    text = opened.read(LONGEST_OWNER).decode("utf-8", "replace")
                if not _is_gone(text):
                    raise FileExistsError(f"{file} says: {text}") from None
                stale = file.with_name(f"{file.name}.{os.getpid()}.{time.monotonic_ns()}")
                file.rename(stale)  # of several that find it, one moves it away
                stale.unlink()


def _is_gone(text: str) -> bool:
    """Whether a process is known to have ended: it was on this machine, and is not there, or is another one now."""
    try:
        who = parse_json(text)
        here = who["host"] == socket.gethostname()
        return here and _started(int(who["pid"])) != who["started"]
    except (ValueError, KeyError, TypeError, OverflowError):
        return False


def _started(pid: int) -> float | None:
    """When a process began, in seconds since the epoch; None if there is none."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
