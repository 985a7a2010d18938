"""Cutting a growing text at a stop sequence: pure, one character position at a time."""

from __future__ import annotations

from collections.abc import Sequence


def held_back(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of `text` may still turn into a stop sequence.

    Returns:
        the length of the longest end of `text` that is a proper beginning of one of `stops`.
    """
    longest = max((len(stop) for stop in stops), default=0)
    for size in range(min(longest - 1, len(text)), 0, -1):
        tail = text[-size:]
        if any(len(stop) > size and stop.startswith(tail) for stop in stops):
            return size
    return 0


class StopScanner:
    """Watches a text that grows piece by piece for the earliest of several stop sequences.

    Only the end of the text is kept, as long as a stop sequence may still begin in it.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stops)
        self.length = 0  # characters seen
        self.safe = 0  # characters that belong to no stop sequence, whatever comes
        self._tail = ""
        self._window = max((len(stop) for stop in self.stops), default=1) - 1

    def push(self, piece: str) -> int | None:
        """Take the next piece of text.

        Returns:
            the position in the whole text where the earliest stop sequence begins, once one is complete; else None.
        """
        self.length += len(piece)
        text = self._tail + piece
        found = [at for stop in self.stops if (at := text.find(stop)) >= 0]
        if found:
            self.safe = self.length - len(text) + min(found)
            return self.safe
        self.safe = self.length - held_back(text, self.stops)
        self._tail = text[-self._window :] if self._window else ""
        return None
