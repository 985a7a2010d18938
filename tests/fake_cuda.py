"""A fake CUDA for torch: GPUs with memory that may be full, broken or hidden.

It only has the functions that hforch calls. Tensors and models stay on the CPU; tests set their GPU memory manually.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

GIB = 1 << 30
TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version 12040). Please update your GPU driver by downloading "
    "and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx"
)
BUSY = (
    "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might be asynchronously reported"
)


@dataclass
class Card:
    """A GPU, with sizes in bytes; `failure` is the message of the error that its first use raises."""

    total: int = 80 * GIB
    used_by_others: int = 0
    allocated: int = 0
    reserved: int = 0
    peak_allocated: int = 0
    peak_reserved: int = 0
    capability: tuple[int, int] = (9, 0)
    failure: str | None = None
    name: str = "NVIDIA H200"

    @property
    def free(self) -> int:
        return self.total - self.used_by_others - self.reserved

    def allocate(self, size: int) -> None:
        self.allocated += size
        self.reserved = max(self.reserved, self.allocated)
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        self.peak_reserved = max(self.peak_reserved, self.reserved)

    def free_of(self, size: int) -> None:
        self.allocated -= size

    def fail(self, index: int, size: int) -> None:
        """Raise torch's error for a failed allocation of `size` bytes."""
        import torch

        raise torch.OutOfMemoryError(out_of_memory(self, index, size))


def out_of_memory(card: Card, index: int, size: int) -> str:
    """Return torch's error message."""

    def gib(value: int) -> str:
        return f"{value / GIB:.2f} GiB"

    return (
        f"CUDA out of memory. Tried to allocate {gib(size)}. GPU {index} has a total capacity of {gib(card.total)} of "
        f"which {gib(card.free)} is free. Including non-PyTorch memory, this process has {gib(card.reserved)} memory "
        f"in use. Of the allocated memory {gib(card.allocated)} is allocated by PyTorch, and 0 bytes is reserved by "
        "PyTorch but unallocated. If reserved but unallocated memory is large try setting "
        "PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
    )


@dataclass
class FakeCuda:
    """The GPUs of a machine.

    Attributes:
        version: CUDA version of torch; None for a CPU build.
        refusal: error message of CUDA's initialization, such as `TOO_OLD`.
        looked_at: indices of initialized GPUs.
    """

    cards: list[Card] = field(default_factory=lambda: [Card()])
    version: str | None = "13.0"
    refusal: str | None = None
    looked_at: list[int] = field(default_factory=list)
    emptied: int = 0

    @contextlib.contextmanager
    def installed(self) -> Iterator[FakeCuda]:
        import torch

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.version, "cuda", self.version)
            patch.setattr(torch.xpu, "is_available", lambda: False)
            for name in ("is_available", "device_count", "init", "mem_get_info", "get_device_properties"):
                patch.setattr(torch.cuda, name, getattr(self, name))
            for name in ("max_memory_allocated", "max_memory_reserved", "reset_peak_memory_stats", "empty_cache"):
                patch.setattr(torch.cuda, name, getattr(self, name))
            patch.setattr(torch.cuda, "is_initialized", lambda: bool(self.looked_at))
            patch.setattr(
                torch.cuda, "_is_in_bad_fork", lambda: False
            )  # True in a fork after another test has initialized CUDA
            patch.setattr(torch.accelerator, "is_available", self.is_available)
            patch.setattr(torch.accelerator, "device_count", self.device_count)
            patch.setattr(torch.accelerator, "current_accelerator", lambda: SimpleNamespace(type="cuda"))
            yield self

    def is_available(self) -> bool:
        return self.refusal is None and bool(self.cards)

    def device_count(self) -> int:
        return len(self.cards) if self.refusal is None else 0

    def init(self) -> None:
        if self.version is None:
            raise AssertionError("Torch not compiled with CUDA enabled")
        if self.refusal or not self.cards:
            raise RuntimeError(self.refusal or "No CUDA GPUs are available")

    def mem_get_info(self, index: int) -> tuple[int, int]:
        card = self.cards[index]
        if card.failure:
            raise RuntimeError(card.failure)
        self.looked_at.append(index)
        return card.free, card.total

    def get_device_properties(self, index: int) -> Any:
        card = self.cards[index]
        major, minor = card.capability
        return SimpleNamespace(name=card.name, major=major, minor=minor, total_memory=card.total)

    def max_memory_allocated(self, index: int) -> int:
        return self.cards[index].peak_allocated

    def max_memory_reserved(self, index: int) -> int:
        return self.cards[index].peak_reserved

    def reset_peak_memory_stats(self, index: int) -> None:
        card = self.cards[index]
        card.peak_allocated, card.peak_reserved = card.allocated, card.reserved

    def empty_cache(self) -> None:
        self.emptied += 1
        for card in self.cards:
            card.reserved = card.allocated
