"""Limits of the system that a process runs into, in words: files, processes, memory, disk."""

from __future__ import annotations

import errno
import resource

from hforch.errors import HforchError

NO_THREAD = "can't start new thread"
NO_MEMORY = "DefaultCPUAllocator: can't allocate memory"  # torch's words
MEMORY = "memory ran out; free some, or choose a smaller model, precision or batch"


def limit_reached(error: BaseException | None) -> str | None:
    """Return what the system has run out of and what to do, if that is why `error` was raised; else None.

    An HforchError says so itself.
    """
    while error is not None and not isinstance(error, HforchError):
        if isinstance(error, OSError) and (found := _of_system(error)):
            return found
        if isinstance(error, MemoryError):
            return MEMORY
        if isinstance(error, RuntimeError) and NO_MEMORY in str(error):
            return MEMORY
        if isinstance(error, RuntimeError) and NO_THREAD in str(error):
            return no_processes()
        error = error.__cause__ or error.__context__
    return None


def _of_system(error: OSError) -> str | None:
    place = f" (writing {error.filename})" if error.filename else ""
    match error.errno:
        case errno.EMFILE | errno.ENFILE:
            return few_files()
        case errno.EAGAIN if error.filename is None:
            return no_processes()
        case errno.ENOMEM:
            return MEMORY
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk is full{place}; make room, or write to another disk"
        case errno.EFBIG:
            return f"a file may not become larger here{place}; raise the limit (ulimit -f) or the quota"
    return None


def few_files() -> str:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return f"too many open files: this process may have {limit}; raise the limit, e.g. with `ulimit -n 1024`"


def no_processes() -> str:
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    allowed = "" if limit == resource.RLIM_INFINITY else f": this user may have {limit}"
    return (
        f"no more processes or threads can be started{allowed}; "
        "end some, or raise the limit (`ulimit -u`, or that of the container)"
    )
