"""The bytes of a hub download, as they arrive, from the hub library's progress bars to ours."""

from __future__ import annotations

from threading import Lock
from typing import Any

from hforch.utils.progress import Advance


def byte_counter(advance: Advance) -> type[Any]:
    """A class that takes a tqdm's place, shows nothing, and passes on bytes; it ignores the bar that counts files."""
    from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

    lock = Lock()  # files arrive in several threads

    class ByteCounter(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        def __init__(self, *args: Any, **options: Any) -> None:
            self.counts_bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            if self.counts_bytes and n:
                with lock:
                    advance(int(n))

    return ByteCounter
