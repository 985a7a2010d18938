"""The scale of a benchmark: full, or a smoke test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """Attributes:
    asked: the requested number of rounds; None: the benchmark's default.
    smoke: one round of minimal work, for tests; its results are meaningless.
    """

    asked: int | None = None
    smoke: bool = False

    def rounds(self, usual: int) -> int:
        return 1 if self.smoke else self.asked or usual

    def pick(self, whole: T, smoke: T) -> T:
        return smoke if self.smoke else whole
