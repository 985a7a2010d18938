"""EBNF for JSON strings: sets of characters with their escapes, and strings other than given ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from hforch.backends.genai.number_grammar import either

Ranges = Sequence[tuple[int, int]]
"""A set of characters: code points from the first to the last of each pair, in order."""
LAST = 0x10FFFF
ALL: Ranges = [(0, LAST)]
CONTROLS: Ranges = [(0, 0x1F), (0x7F, 0x7F)]
UNUSABLE: Ranges = [*CONTROLS[:1], (ord('"'), ord('"')), (ord("\\"), ord("\\")), *CONTROLS[1:], (0xD800, 0xDFFF)]
"""Characters that cannot be in a JSON string without an escape."""
ESCAPES = {'"': '"', "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}


def literal(text: str) -> str:
    """Return EBNF for a text."""
    return f'"{"".join(map(_code, map(ord, text)))}"'


def characters(wanted: Ranges) -> str:
    """Return EBNF for one character of a set, as written in a JSON string."""
    plain, escapes = minus(wanted, UNUSABLE), []
    if short := [letter for character, letter in ESCAPES.items() if _has(wanted, ord(character))]:
        escapes.append(_any_of(short))
    if codes := _codes([code for start, end in CONTROLS for code in range(start, end + 1) if _has(wanted, code)]):
        escapes.append(f'"u00" {either(codes)}')
    options = [_one_of(plain)] if plain else []
    if escapes:  # after a common backslash, because the grammar then compiles several times faster
        options.append(f"{literal(chr(92))} {either(escapes)}")
    return either(options)


def _codes(controls: Sequence[int]) -> list[str]:
    """Return EBNF for the two hexadecimal digits of control characters."""
    last: dict[int, str] = {}
    for code in controls:
        digit = f"{code:X}"[-1]
        last[code >> 4] = last.get(code >> 4, "") + digit + digit.lower()
    first: dict[str, str] = {}
    for high, digits in last.items():
        first[digits] = first.get(digits, "") + str(high)
    return [f"{_any_of(highs)} {_any_of(digits)}" for digits, highs in first.items()]


def other_than(names: Collection[str], character: str) -> str:
    """Return EBNF for the content of a JSON string that is none of the given ones.

    Args:
        character: the EBNF of any character.
    """
    if not names:
        return f"{character}*"
    first: dict[str, list[str]] = {}
    for name in names:
        if name:
            first.setdefault(name[0], []).append(name[1:])
    others = complement(sorted((ord(one), ord(one)) for one in first))
    options = [] if "" in names else ['""']
    options.append(f"{characters(others)} {character}*")
    options += [f"{characters([(ord(one),) * 2])} {other_than(rest, character)}" for one, rest in first.items()]
    return either(options)


def union(sets: Iterable[Ranges]) -> Ranges:
    """Return the characters of any of several sets."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(pair for one in sets for pair in one):
        if found and start <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def complement(ranges: Ranges) -> Ranges:
    """Return all other characters."""
    found, at = [], 0
    for start, end in union([ranges]):
        if at < start:
            found.append((at, start - 1))
        at = end + 1
    return [*found, (at, LAST)] if at <= LAST else found


def minus(ranges: Ranges, without: Ranges) -> Ranges:
    """Return the characters of one set that are not in another."""
    return complement(union([complement(ranges), without]))


def _has(ranges: Ranges, code: int) -> bool:
    return any(start <= code <= end for start, end in ranges)


def _any_of(letters: Iterable[str]) -> str:
    return _one_of(union([(ord(letter), ord(letter))] for letter in letters))


def _one_of(ranges: Ranges) -> str:
    pairs = (_code(start) if start == end else f"{_code(start)}-{_code(end)}" for start, end in ranges)
    return f"[{''.join(pairs)}]"


def _code(code: int) -> str:
    """Return a character in EBNF, escaped unless it is a letter or digit."""
    character = chr(code)
    if character.isascii() and character.isalnum():
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
