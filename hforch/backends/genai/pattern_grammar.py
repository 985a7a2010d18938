"""EBNF for JSON strings that match a regular expression, or have a format of JSON Schema."""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from typing import Any

from hforch.backends.genai.number_grammar import either
from hforch.backends.genai.string_grammar import Ranges, characters, complement, union

DIGITS: Ranges = [(0x30, 0x39)]
WORD: Ranges = [*DIGITS, (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]
SPACES: Ranges = [
    *((0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
]
CATEGORIES = {"DIGIT": DIGITS, "WORD": WORD, "SPACE": SPACES}
ANY: Ranges = complement([(0x0A, 0x0A)])

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"({_OCTET}\.){{3}}{_OCTET}"
_HEX = "[0-9a-fA-F]{1,4}"
_PAIR = f"{_HEX}:{_HEX}"
_IPV6 = "|".join(
    [
        f"({_HEX}:){{7}}{_HEX}",
        f"::({_HEX}:){{0,5}}{_PAIR}",
        *(f"(({_HEX}:){{0,{n}}}{_HEX})?::({_HEX}:){{0,{4 - n}}}{_PAIR}" for n in range(5)),
        f"(({_HEX}:){{0,5}}{_HEX})?::{_HEX}",
        f"(({_HEX}:){{0,6}}{_HEX})?::",
    ]
)
_DATE = (
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-9]))"
)
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?([zZ]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_DAYS = "([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)"
_HOURS = "T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)"
_ATOM = r"[a-zA-Z0-9!#$%&'*+\-/=?^_`{|}~]+"
_DOMAIN = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_UNRESERVED = r"a-zA-Z0-9\-._~!$&'()*+,;="
_ESCAPED = "%[0-9a-fA-F]{2}"
_SEGMENT = f"([{_UNRESERVED}:@]|{_ESCAPED})"
_QUERY = f"([{_UNRESERVED}:@/?]|{_ESCAPED})*"
_AUTHORITY = rf"(([{_UNRESERVED}:]|{_ESCAPED})*@)?(\[({_IPV6})\]|([{_UNRESERVED}]|{_ESCAPED})*)(:[0-9]*)?"
_PATH = f"(//{_AUTHORITY}(/{_SEGMENT}*)*|/({_SEGMENT}+(/{_SEGMENT}*)*)?|{_SEGMENT}+(/{_SEGMENT}*)*)?"
FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}[tT]{_TIME}",
    "duration": f"P({_DAYS}({_HOURS})?|{_HOURS}|[0-9]+W)",
    "email": rf"{_ATOM}(\.{_ATOM})*@({_DOMAIN}(\.{_DOMAIN})*|\[{_IPV4}\])",
    "hostname": rf"{_LABEL}(\.{_LABEL})*",
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uuid": "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "uri": rf"[a-zA-Z][a-zA-Z0-9+\-.]*:{_PATH}(\?{_QUERY})?(#{_QUERY})?",
}
"""Regular expressions of the formats of JSON Schema: RFC 3339, 3986, 4122, 4291, 5321 and 1123."""


class Unsupported(ValueError):
    """A regular expression has a construct that the grammar cannot express."""


def matching(pattern: str, character: str) -> str:
    """Return EBNF for the content of a JSON string in which a pattern is found.

    Args:
        pattern: a regular expression, as in the keyword `pattern`.
        character: the EBNF of any character.

    Raises:
        Unsupported: Python cannot parse the pattern; or it has a look-around, a back reference, a flag, or an anchor in
            the middle.
    """
    parser = import_module("re._parser")  # Python has no public function that returns the parts of a pattern
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about syntax that may change in later versions
            parsed = parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unsupported(str(error) or "nested too deeply") from error
    if parsed.state.flags & ~parser.SRE_FLAG_UNICODE:
        raise Unsupported("flags")
    return _Converter(f"{character}*").sequence(list(parsed), True, True)


class _Converter:
    """Converts the tree of Python's regular expression parser to EBNF.

    The arguments `left` and `right` state whether an expression is at the beginning and at the end of the pattern. Any
    text may precede or follow it there, unless it has an anchor.
    """

    def __init__(self, anything: str) -> None:
        self.anything = anything

    def sequence(self, items: list[Any], left: bool = False, right: bool = False) -> str:
        if not items:
            return self.anything if left or right else '""'
        last = len(items) - 1
        return " ".join(self.item(one, left and at == 0, right and at == last) for at, one in enumerate(items))

    def item(self, item: Any, left: bool, right: bool) -> str:
        name, value = str(item[0]), item[1]
        if name == "AT":
            is_anchor = left if str(value) in ("AT_BEGINNING", "AT_BEGINNING_STRING") else right
            if str(value) not in ("AT_BEGINNING", "AT_BEGINNING_STRING", "AT_END", "AT_END_STRING") or not is_anchor:
                raise Unsupported("an anchor in the middle, or a word boundary")
            return self.anything if left and right else '""'
        if name == "SUBPATTERN":
            _, added, removed, inner = value
            if added or removed:
                raise Unsupported("flags")
            return f"({self.sequence(list(inner), left, right)})"
        if name == "BRANCH":
            return either([self.sequence(list(option), left, right) for option in value[1]])
        found = self._repeated(*value) if name in ("MAX_REPEAT", "MIN_REPEAT") else characters(self._set(item))
        return f"{f'{self.anything} ' * left}{found}{f' {self.anything}' * right}"

    def _repeated(self, least: int, most: Any, inner: Any) -> str:
        last = "" if str(most) == "MAXREPEAT" else int(most)
        return f"({self.sequence(list(inner))}){{{least},{last}}}"

    def _set(self, item: Any) -> Ranges:
        """Return the set of characters that an item matches."""
        name, value = str(item[0]), item[1]
        match name:
            case "LITERAL":
                return [(value, value)]
            case "NOT_LITERAL":
                return complement([(value, value)])
            case "ANY":
                return ANY
            case "RANGE":
                return [(value[0], value[1])]
            case "CATEGORY":
                kind = str(value).removeprefix("CATEGORY_")
                found = CATEGORIES[kind.removeprefix("NOT_")]
                return complement(found) if kind.startswith("NOT_") else found
            case "IN":
                negated = str(value[0][0]) == "NEGATE"
                inside = union(self._set(one) for one in value[negated:])
                return complement(inside) if negated else inside
            case _:
                raise Unsupported(f"{name.lower().replace('_', ' ')}")
