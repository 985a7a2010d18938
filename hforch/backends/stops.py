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
    """Watches a text that grows piece by piece for the stop sequence that begins first.

    Where one stop is complete and another, begun before it, may still become so, the next pieces decide. So the cut
    depends on the text alone, never on how it came in pieces. Only the end of the text is kept, as long as a stop
    sequence may still begin in it.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stops)
        self.length = 0  # characters seen
        self.safe = 0  # characters that stand before every stop sequence, whatever comes
        self._tail = ""
        self._window = max((len(stop) for stop in self.stops), default=1) - 1
        self._found: int | None = None

    def push(self, piece: str) -> int | None:
        """Take the next piece of text.

        Returns:
            the position in the whole text where the first stop sequence begins, once that is certain; else None.
        """
        self.length += len(piece)
        if not self.stops:
            self.safe = self.length
            return None
        text = self._tail + piece
        base = self.length - len(text)
        starts = [base + at for stop in self.stops if (at := text.find(stop)) >= 0]
        if self._found is not None:
            starts.append(self._found)
        self._found = min(starts, default=None)
        self.safe = self.length - held_back(text, self.stops)
        self._tail = text[-self._window :] if self._window else ""
        if self._found is None or self.safe < self._found:
            return None
        self.safe = self._found
        return self._found

    def settle(self) -> int | None:
        """The cut if the text ends here: a stop that is complete counts now; else None."""
        return self._found
