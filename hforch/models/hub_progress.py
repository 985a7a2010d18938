"""Forward huggingface_hub's download progress to hforch's progress display."""

from __future__ import annotations

from threading import Lock
from typing import Any

from hforch.utils.progress import Advance


def byte_counter(advance: Advance) -> type[Any]:
    """Return a silent tqdm subclass that passes downloaded bytes to `advance` and ignores the bar that counts files.

    Later versions of huggingface_hub have two bars that count bytes: those received, and those written to disk. Only
    what exceeds the largest count so far is passed on, so that each byte counts once.
    """
    from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

    lock = Lock()  # files are downloaded in several threads
    passed = 0

    class ByteCounter(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        def __init__(self, *args: Any, **options: Any) -> None:
            self.counts_bytes = options.get("unit") == "B"
            self.counted = 0
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal passed
            if not self.counts_bytes:
                return
            with lock:
                self.counted += int(n or 0)
                if self.counted > passed:
                    advance(self.counted - passed)
                    passed = self.counted

    return ByteCounter
