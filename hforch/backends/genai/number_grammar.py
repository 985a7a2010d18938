"""EBNF for the decimal representations of numbers in a range."""

from __future__ import annotations

from collections.abc import Sequence

NUMBER = '"-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?'


def integers(lowest: int, highest: int) -> str:
    """Return EBNF for the integers of a range, which must not be empty."""
    options = []
    if lowest < 0:
        options.append(f'"-" {_naturals(max(1, -highest), -lowest)}')
    if highest >= 0:
        options.append(_naturals(max(0, lowest), highest))
        options += ['"-0"'] if lowest < 0 else []
    return either(options)


def decimals(lowest: int, highest: int, places: int) -> str:
    """Return EBNF for the numbers of a range, which must not be empty, with at most `places` decimals.

    Args:
        lowest: the lowest number, multiplied by 10**places.
        highest: the highest number, multiplied by 10**places.
    """
    options = []
    if lowest < 0:
        options.append(f'"-" {_positive(max(1, -highest), -lowest, places)}')
    if highest >= 0:
        options.append(_positive(max(0, lowest), highest, places))
    return either(options)


def either(options: Sequence[str]) -> str:
    """Return EBNF for any of several expressions."""
    return options[0] if len(options) == 1 else f"({' | '.join(options)})"


def _positive(lowest: int, highest: int, places: int) -> str:
    one = 10**places
    (start, after_start), (end, after_end) = divmod(lowest, one), divmod(highest, one)
    if start == end:
        return f"{_naturals(start, end)} {_fraction(after_start, after_end, places)}"
    options = [
        f"{_naturals(start, start)} {_fraction(after_start, one - 1, places)}",
        f"{_naturals(end, end)} {_fraction(0, after_end, places)}",
    ]
    if start + 1 < end:
        options.append(f"{_naturals(start + 1, end - 1)} {_fraction(0, one - 1, places)}")
    return either(options)


def _fraction(lowest: int, highest: int, places: int) -> str:
    """Return EBNF for the decimals whose value, multiplied by 10**places, is in a range."""
    if places == 0:
        return '""'
    if (lowest, highest) == (0, 10**places - 1):
        return f'("." [0-9]{{1,{places}}})?'
    options = ['""'] if lowest == 0 else []
    for length in range(1, places + 1):
        unit = 10 ** (places - length)
        first, last = -(-lowest // unit), highest // unit
        if first <= last:
            options.append(f'"." {_between(str(first).zfill(length), str(last).zfill(length))}')
    return either(options)


def _naturals(lowest: int, highest: int) -> str:
    options = []
    for length in range(len(str(lowest)), len(str(highest)) + 1):
        first = max(lowest, 10 ** (length - 1) if length > 1 else 0)
        options.append(_between(str(first), str(min(highest, 10**length - 1))))
    return either(options)


def _between(lowest: str, highest: str) -> str:
    """Return EBNF for the strings of digits from `lowest` to `highest`, which have the same length."""
    rest = len(lowest) - 1
    if rest < 0:
        return '""'
    if lowest[0] == highest[0]:
        return f'"{lowest[0]}" {_between(lowest[1:], highest[1:])}' if rest else f'"{lowest[0]}"'
    options, first, last = [], int(lowest[0]), int(highest[0])
    if lowest[1:].strip("0"):
        options.append(f'"{first}" {_between(lowest[1:], "9" * rest)}')
        first += 1
    if highest[1:].strip("9"):
        options.append(f'"{last}" {_between("0" * rest, highest[1:])}')
        last -= 1
    if first <= last:
        options.append(f"[{first}-{last}]" + (f" [0-9]{{{rest}}}" if rest else ""))
    return either(options)
