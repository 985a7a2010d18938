"""Regular expressions of others: a search that takes too long is given up, for some would never end."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hforch.checks.base import Undecided

if TYPE_CHECKING:
    import regex

LONGEST_S = 1.0
"""Seconds for one search. Only patterns that try every way to match a part again, such as `(a+)+$`, take longer."""
MOST_TRIES = 3
"""Searches that may take too long before a pattern is not searched for any more."""


class TooSlow(Undecided):
    """A search was given up; it is not known whether the pattern matches."""


class Pattern:
    """A regular expression, as Python's `re` reads it.

    Args:
        text: as written.

    Raises:
        ValueError: it is no regular expression.
    """

    def __init__(self, text: str) -> None:
        import regex

        self.text = text
        self._given_up = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what later versions may read otherwise
            try:
                self._compiled = regex.compile(text, regex.VERSION0)
            except (regex.error, OverflowError, RecursionError, ValueError) as error:
                raise ValueError(f"is no regular expression: {error or 'nested too deeply'}") from error

    def search(self, text: str) -> regex.Match[str] | None:
        """The first match in a text.

        Raises:
            TooSlow: it took longer than LONGEST_S, this time or too many times before.
        """
        if self._given_up < MOST_TRIES:
            try:
                return self._compiled.search(text, timeout=LONGEST_S)
            except TimeoutError:
                self._given_up += 1
        raise TooSlow(
            f"the search for '{self.text}' took longer than {LONGEST_S:g} s and was given up: the pattern can match "
            "a part of the text in too many ways"
        )


def with_patterns(kind: Any) -> Any:
    """A class of JSON Schema validators whose patterns are searched for as above.

    Args:
        kind: a class of `jsonschema`.
    """
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    known: dict[str, Pattern] = {}

    def found(pattern: str, text: str) -> bool:
        if pattern not in known:
            known[pattern] = Pattern(pattern)
        return known[pattern].search(text) is not None

    def of_text(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
        if validator.is_type(value, "string") and not found(pattern, value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")

    def of_names(validator: Any, patterns: Mapping[str, Any], value: Any, schema: Any) -> Iterator[ValidationError]:
        if validator.is_type(value, "object"):
            for pattern, inner in patterns.items():
                for name in value:
                    if found(pattern, name):
                        yield from validator.descend(value[name], inner, path=name, schema_path=pattern)

    def additional(validator: Any, allowed: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        if not validator.is_type(value, "object"):
            return
        patterns = schema.get("patternProperties", {})
        known_names = schema.get("properties", {})
        extra = [name for name in value if name not in known_names and not any(found(one, name) for one in patterns)]
        if validator.is_type(allowed, "object"):
            for name in extra:
                yield from validator.descend(value[name], allowed, path=name)
        elif not allowed and extra:
            names = ", ".join(repr(name) for name in extra)
            yield ValidationError(f"additional properties are not allowed: {names}")

    return extend(kind, {"pattern": of_text, "patternProperties": of_names, "additionalProperties": additional})


def patterns_in(schema: Any) -> Iterator[str]:
    """Every regular expression of a schema."""
    for node in _mappings(schema):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        if isinstance(node.get("patternProperties"), Mapping):
            yield from map(str, node["patternProperties"])


def unbounded(schema: Any) -> bool:
    """Whether a schema has `unevaluatedProperties` and `patternProperties`, which are matched without a limit."""
    words = {str(key) for node in _mappings(schema) for key in node}
    return {"unevaluatedProperties", "patternProperties"} <= words


def _mappings(node: Any) -> Iterator[Mapping[Any, Any]]:
    if isinstance(node, Mapping):
        yield node
        for inner in node.values():
            yield from _mappings(inner)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _mappings(inner)
