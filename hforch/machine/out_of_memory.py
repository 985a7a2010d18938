"""Recognize out-of-memory errors of accelerators, describe them, and free the memory of the failed attempt."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hforch.errors import HforchError, OutOfMemory
from hforch.machine import accelerators

PHRASES = (
    "cuda out of memory",
    "hip out of memory",
    "xpu out of memory",
    "mps backend out of memory",
    "cuda error: out of memory",
    "hip error: out of memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cusparse_status_alloc_failed",
    "out of device memory",
    "cl_out_of_resources",
    "cl_out_of_host_memory",
    "cl_mem_object_allocation_failure",
    "out of gpu resources",
    "exceeded max size of memory object allocation",
)
"""Lower-case phrases in out-of-memory errors of torch and of OpenVINO's GPU plugin."""

SIZE = r"([\d.]+) (bytes|[KMGT]iB)"
BYTES = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
SMALLER_BATCH = "use a smaller runtime.batch_size"


def is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether an error or one of its causes means that an accelerator is out of memory."""
    torch = sys.modules.get("torch")
    known: type[BaseException] | None = getattr(torch, "OutOfMemoryError", None)
    while error is not None and not isinstance(error, HforchError):  # hforch's own errors are already translated
        if known is not None and isinstance(error, known):
            return True
        if isinstance(error, RuntimeError) and any(words in str(error).lower() for words in PHRASES):
            return True
        error = error.__cause__ or error.__context__
    return False


@dataclass(frozen=True)
class MemoryShortage:
    """The contents of an out-of-memory error. Sizes are in GB of 10^9 bytes; None if unknown.

    Attributes:
        device: name of the device, such as `cuda:0`.
        asked: size of the failed allocation.
        total: memory of the device.
        free: free memory of the device.
        own: memory that this process uses on the device.
        allowed: torch's limit for this process, if it has one.
    """

    device: str | None
    asked: float | None = None
    total: float | None = None
    free: float | None = None
    own: float | None = None
    allowed: float | None = None

    def __str__(self) -> str:
        place = f" on {self.device or 'the GPU'}"
        parts = [] if self.asked is None else [f"requested {_gb(self.asked)} GB"]
        if self.free is not None:
            of = "" if self.total is None else f" of {_gb(self.total)}"
            parts.append(f"{_gb(self.free)}{of} GB free{self._others()}")
        if self.allowed is not None:
            parts.append(f"this process is limited to {_gb(self.allowed)} GB")
        return f"out of memory{place}{': ' if parts else ''}{', '.join(parts)}"

    def _others(self) -> str:
        if self.total is None or self.free is None or self.own is None:
            return ""
        others = self.total - self.free - self.own
        return f" (other processes are using {_gb(others)} GB)" if others >= 0.05 else ""


def shortage_of(error: BaseException) -> MemoryShortage:
    """Parse an out-of-memory error; if it does not state the free memory, query the device."""
    message = "\n".join(str(one) for one in chain(error))
    kind = "xpu" if "xpu" in message.lower() else "cuda" if re.search("cuda|cublas|cudnn|hip ", message, re.I) else None
    number = re.search(r"GPU (\d+) has a total capacity", message)
    device = f"{kind}:{number[1]}" if kind and number else kind
    free = _size(rf"of which {SIZE} is free", message)
    if free is None and kind and (now := accelerators.free_mb(int(number[1]) if number else None)) is not None:
        free = now / 1e3
    return MemoryShortage(
        device=device,
        asked=_size(rf"Tried to allocate {SIZE}", message),
        total=_size(rf"total capacity of {SIZE}", message),
        free=free,
        own=_size(rf"this process has {SIZE} memory in use", message),
        allowed=_size(rf"{SIZE} allowed", message),
    )


@contextmanager
def translating(remedy: str, drop: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Translate out-of-memory errors of libraries into OutOfMemory, and free the memory of the failed attempt.

    Args:
        remedy: hint for the user.
        drop: a function that discards other objects that the failed attempt has left.

    Raises:
        OutOfMemory: an accelerator is out of memory.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise translate(error, remedy, drop) from None


def translate(error: BaseException, remedy: str, drop: Callable[[], None] = lambda: None) -> OutOfMemory:
    """Return an OutOfMemory for a library's error, and free the memory of the failed attempt."""
    shortage = shortage_of(error)
    for one in chain(error):  # their frames hold the tensors
        traceback.clear_frames(one.__traceback__)
    drop()
    accelerators.release()
    return OutOfMemory(str(shortage), remedy)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all its causes and contexts, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]


def _size(pattern: str, message: str) -> float | None:
    """Return the size that a pattern matches, in GB, or None."""
    found = re.search(pattern, message)
    return float(found[1]) * BYTES[found[2]] / 1e9 if found else None


def _gb(size: float) -> str:
    return f"{size:.1f}" if size >= 0.05 else f"{size:.3f}".rstrip("0").rstrip(".") or "0"
