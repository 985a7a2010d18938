"""Explain errors caused by limits of the system: open files, processes, memory, disk."""

from __future__ import annotations

import errno
import resource

from hforch.errors import HforchError

NO_THREAD = "can't start new thread"
NO_MEMORY = "DefaultCPUAllocator: can't allocate memory"  # raised by torch
MEMORY = "out of memory; free memory, or use a smaller model, precision or batch size"


def limit_reached(error: BaseException | None) -> str | None:
    """Return the limit that caused an error and what to do, or None if no limit did.

    An HforchError already explains its cause.
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
    place = f" (writing '{error.filename}')" if error.filename else ""
    match error.errno:
        case errno.EMFILE | errno.ENFILE:
            return few_files()
        case errno.EAGAIN if error.filename is None:
            return no_processes()
        case errno.ENOMEM:
            return MEMORY
        case errno.ENOSPC | errno.EDQUOT:
            return f"no space left on device{place}; free some space, or use another disk"
        case errno.EFBIG:
            return f"file size limit exceeded{place}; raise the limit (ulimit -f) or the quota"
    return None


def few_files() -> str:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return f"too many open files: the limit of this process is {limit}; raise it, for example with `ulimit -n 1024`"


def no_processes() -> str:
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    allowed = "" if limit == resource.RLIM_INFINITY else f": the limit of this user is {limit}"
    return (
        f"cannot start another process or thread{allowed}; "
        "stop some, or raise the limit (`ulimit -u`, or the container's)"
    )
