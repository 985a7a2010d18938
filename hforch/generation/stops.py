"""Find stop sequences in a text that arrives in pieces."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence

# Special tokens are invisible. In stop sequences, the text of a special token is replaced with a single character of
# this private-use plane, which does not occur in text. This way, only the token itself matches, not a part of its text.
SYMBOLS = 0x100000


class PrefixTable:
    """The proper prefixes of stop sequences, to check the end of a text for a partial stop sequence."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._all = {stop[:size] for stop in stops for size in range(1, len(stop))}
        self._lasts = {beginning[-1] for beginning in self._all}
        self._longest = max(map(len, self._all), default=0)

    def at_end(self, text: str) -> int:
        """Return the length of the longest suffix of `text` that is a proper prefix of a stop sequence."""
        if not text or text[-1] not in self._lasts:
            return 0
        for size in range(min(self._longest, len(text)), 0, -1):
            if text[-size:] in self._all:
                return size
        return 0


class StopScanner:
    """A scanner for stop sequences in a text that arrives in pieces; it only stores the end of the text.

    Attributes:
        length: number of characters received.
        safe: number of characters from the start that are not part of an incomplete stop sequence.
        found: start of the first complete stop sequence, or None.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stops)
        self.length = self.safe = 0
        self.found: int | None = None
        self._tail = ""
        self._beginnings = PrefixTable(self.stops)
        self._window = max((len(stop) for stop in self.stops), default=1) - 1

    def push(self, piece: str) -> None:
        """Add the next piece of text."""
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
    """A finder for the end of an answer's visible text, which is the start of the earliest stop sequence.

    If a stop sequence is complete while one that starts earlier is still incomplete, the next pieces decide, so
    that the result depends only on the text, not on how it is split into pieces.

    Args:
        stops: stop sequences; the text of a special token matches both that token and the same visible text.
        special: texts of all special tokens.

    Attributes:
        safe: number of visible characters that precede any stop sequence, whatever text follows.
    """

    def __init__(self, stops: Sequence[str], special: Collection[str] = ()) -> None:
        self._symbols = {text: chr(SYMBOLS + number) for number, text in enumerate(sorted(special, key=len)) if text}
        symbolic = [self._symbolic(stop) for stop in stops]
        self._plain = StopScanner(stops)
        self._mixed = StopScanner([each for each, stop in zip(symbolic, stops, strict=True) if each != stop])
        self._hidden: list[int] = []  # positions of special tokens in the text of `_mixed`
        self.safe = 0

    @property
    def length(self) -> int:
        """The number of visible characters received."""
        return self._plain.length

    def push(self, visible: str = "", special: str = "") -> int | None:
        """Add the next piece of visible text, or a special token by its text.

        Returns:
            The position where the visible text ends, once it is final; else None.
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
        """Return the position of the first complete stop sequence, or None; call it when no more text follows."""
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
