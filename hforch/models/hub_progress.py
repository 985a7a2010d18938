"""Forward huggingface_hub's download progress to hforch's progress display."""

from __future__ import annotations

from threading import Lock
from typing import Any

from hforch.utils.progress import Advance


def byte_counter(advance: Advance) -> type[Any]:
    """Return a silent tqdm subclass that passes downloaded bytes to `advance` and ignores the bar that counts files."""
    from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

    lock = Lock()  # files are downloaded in several threads

    class ByteCounter(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        def __init__(self, *args: Any, **options: Any) -> None:
            self.counts_bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            if self.counts_bytes and n:
                with lock:
                    advance(int(n))

    return ByteCounter
