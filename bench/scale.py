"""How much a benchmark does: all of it, or just enough to see that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Scale:
    """Attributes:
    asked: how many rounds were asked for; None: as many as the benchmark usually does.
    smoke: one round of the smallest work, as the tests do it; its figures mean nothing.
    """

    asked: int | None = None
    smoke: bool = False

    def rounds(self, usual: int) -> int:
        return 1 if self.smoke else self.asked or usual

    def pick(self, whole: T, smoke: T) -> T:
        return smoke if self.smoke else whole
