"""Lock the directory of a run or sweep, so that only one process writes there at a time."""

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

OWNER = ".hforch.owner"  # the file that identifies the writing process on file systems without locks
LONGEST_OWNER = 4096  # maximum size of this file in bytes
PATIENCE_S = 10.0
_locked: dict[Path, int] = {}  # directories locked by this process, with the thread that locked them


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock a directory against other processes and threads while the block runs; this thread may lock it again.

    Raises:
        HforchError: another process or thread holds the lock.
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
        except OSError:  # the file system has no locks
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
    """Return whether this thread has locked a directory."""
    return _locked.get(directory.resolve()) == threading.get_ident()


def is_in_use(directory: Path) -> bool:
    """Return whether another process is writing to a directory; False if that is unknown."""
    try:
        lock = os.open(directory, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not lock_descriptor(lock, blocking=False)
    except OSError:  # the file system has no locks
        with suppress(OSError), open_file(directory / OWNER) as opened:
            return not _is_gone(opened.read(LONGEST_OWNER).decode("utf-8", "replace"))
        return False
    finally:
        os.close(lock)


def _insist(take: Callable[[], None], directory: Path) -> None:
    """Acquire a lock; retry for some seconds, because a killed process may need a moment to release it."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return take()
        except (BlockingIOError, FileExistsError) as error:
            if time.monotonic() > until:
                who = f" ({error})" if isinstance(error, FileExistsError) else ""
                hint = "wait until it finishes, or use another directory"
                raise HforchError(f"another run is writing to {directory}{who}\n    {hint}") from None
            time.sleep(0.1)


def _lock(descriptor: int) -> None:
    """Lock an open directory without creating a file in it, unlike a FileLock.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the file system has no locks.
    """
    if not lock_descriptor(descriptor, blocking=False):
        raise BlockingIOError


def _own(file: Path) -> None:
    """Create the file that identifies this process as the writer of a directory.

    The file of a process that has exited is replaced.

    Raises:
        FileExistsError: another process, which may still be running, owns the directory; the message has the file's
            contents.
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
                    raise FileExistsError(f"{file}: {text}") from None
                stale = file.with_name(f"{file.name}.{os.getpid()}.{time.monotonic_ns()}")
                file.rename(stale)  # only one of several processes succeeds
                stale.unlink()


def _is_gone(text: str) -> bool:
    """Return whether a process is known to have ended: it ran on this machine, and its id is unused or was reused."""
    try:
        who = parse_json(text)
        here = who["host"] == socket.gethostname()
        return here and _started(int(who["pid"])) != who["started"]
    except (ValueError, KeyError, TypeError, OverflowError):
        return False


def _started(pid: int) -> float | None:
    """Return the start time of a process in seconds since the epoch, or None if it does not exist."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
