"""Cutting a growing text at a stop sequence: pure, one character position at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence

# Special tokens print as nothing. Where a stop sequence names one, it stands for a single character of this plane,
# which no text has: so it is matched whole, and nothing matches a part of its name.
SYMBOLS = 0x100000


class PrefixTable:
    """The proper beginnings of stop sequences, for looking at the end of a text at each token."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._all = {stop[:size] for stop in stops for size in range(1, len(stop))}
        self._lasts = {beginning[-1] for beginning in self._all}
        self._longest = max(map(len, self._all), default=0)

    def at_end(self, text: str) -> int:
        """How many characters at the end of `text` may still turn into a stop sequence.

        Returns:
            the length of the longest end of `text` that is a proper beginning of one of the stop sequences.
        """
        if not text or text[-1] not in self._lasts:
            return 0
        for size in range(min(self._longest, len(text)), 0, -1):
            if text[-size:] in self._all:
                return size
        return 0


class StopScanner:
    """Watches a text that grows piece by piece for stop sequences.

    Only the end of the text is kept, as long as a stop sequence may still begin in it.

    Attributes:
        length: characters seen.
        safe: so many characters from the start belong to no stop sequence that is still to be completed.
        found: where the first of the stop sequences that are complete begins; None without one.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stops)
        self.length = self.safe = 0
        self.found: int | None = None
        self._tail = ""
        self._beginnings = PrefixTable(self.stops)
        self._window = max((len(stop) for stop in self.stops), default=1) - 1

    def push(self, piece: str) -> None:
        """Take the next piece of text."""
        self.length += len(piece)
        self.safe = self.length
        if not self.stops:
            return
        text = self._tail + piece
        base = self.length - len(text)
        for stop in self.stops:
            if (at := text.find(stop)) >= 0 and (self.found is None or base + at < self.found):
                self.found = base + at
        self.safe -= self._beginnings.at_end(text)
        self._tail = text[-self._window :] if self._window else ""


class StopFinder:
    """Finds where the visible text of an answer is cut: at the stop sequence that begins first in it.

    Where one stop is complete and another, begun before it, may still become so, the next pieces decide. So the cut
    depends on the text alone, never on how it came in pieces.

    Args:
        stops: stop sequences; the text of a special token stands for that token (and for itself, spelled out).
        special: the texts of all special tokens.

    Attributes:
        length: visible characters seen.
        safe: so many of them stand before every stop sequence, whatever comes.
    """

    def __init__(self, stops: Sequence[str], special: Collection[str] = ()) -> None:
        self._symbols = {text: chr(SYMBOLS + number) for number, text in enumerate(sorted(special, key=len)) if text}
        symbolic = [self._symbolic(stop) for stop in stops]
        self._plain = StopScanner(stops)
        self._mixed = StopScanner([each for each, stop in zip(symbolic, stops, strict=True) if each != stop])
        self._hidden: list[int] = []  # where special tokens stand in the text that `_mixed` sees
        self.safe = 0

    @property
    def length(self) -> int:
        return self._plain.length

    def push(self, visible: str = "", special: str = "") -> int | None:
        """Take the next piece of visible text, or a special token by its text.

        Returns:
            where the visible text is to be cut, once that is certain; else None.
        """
        self._plain.push(visible)
        self.safe = self._plain.safe
        if self._mixed.stops:
            if special:
                self._hidden.append(self._mixed.length)
            self._mixed.push(visible + self._symbols.get(special, ""))
            self.safe = min(self.safe, self._visible(self._mixed.safe))
        found = self.settle()
        if found is None or self.safe < found:
            return None
        self.safe = found
        return found

    def settle(self) -> int | None:
        """The cut if the text ends here: a stop that is complete counts now; else None."""
        plain, mixed = self._plain.found, self._mixed.found
        if mixed is None:
            return plain
        mixed = self._visible(mixed)
        return mixed if plain is None else min(plain, mixed)

    def _visible(self, position: int) -> int:
        return position - bisect_left(self._hidden, position)

    def _symbolic(self, stop: str) -> str:
        for text in sorted(self._symbols, key=len, reverse=True):
            stop = stop.replace(text, self._symbols[text])
        return stop
