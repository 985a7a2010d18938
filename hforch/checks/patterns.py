"""Untrusted regular expressions, whose searches have a time limit, because some patterns would take forever."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hforch.checks.base import Undecided

if TYPE_CHECKING:
    import regex

LONGEST_S = 1.0
"""Time limit of a search, in seconds. Only patterns with catastrophic backtracking, such as `(a+)+$`, exceed it."""
MOST_TRIES = 3
"""Maximum number of timeouts of a pattern; it is not searched for again."""


class TooSlow(Undecided):
    """Raised when a search timed out, so it is unknown whether the pattern matches."""


class Pattern:
    """A regular expression in the syntax of Python's `re`.

    Args:
        text: the pattern.

    Raises:
        ValueError: the pattern is not a valid regular expression.
    """

    def __init__(self, text: str) -> None:
        import regex

        self.text = text
        self._given_up = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about syntax that may change in later versions
            try:
                self._compiled = regex.compile(text, regex.VERSION0)
            except (regex.error, OverflowError, RecursionError, ValueError) as error:
                raise ValueError(f"is not a valid regular expression: {error or 'nested too deeply'}") from error

    def search(self, text: str) -> regex.Match[str] | None:
        """Return the first match in a string, or None.

        Raises:
            TooSlow: the search took longer than LONGEST_S, or MOST_TRIES earlier searches did.
        """
        if self._given_up < MOST_TRIES:
            try:
                return self._compiled.search(text, timeout=LONGEST_S)
            except TimeoutError:
                self._given_up += 1
        raise TooSlow(
            f"the search for '{self.text}' timed out after {LONGEST_S:g} s: the pattern has too many ways to match "
            "the same text"
        )


def with_patterns(kind: Any) -> Any:
    """Return a class of JSON Schema validators that search for patterns with a time limit.

    Args:
        kind: a validator class of `jsonschema`.
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
    """Yield each regular expression of a schema."""
    for node in _mappings(schema):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        if isinstance(node.get("patternProperties"), Mapping):
            yield from map(str, node["patternProperties"])


def unbounded(schema: Any) -> bool:
    """Return whether a schema has both `unevaluatedProperties` and `patternProperties`: searches would be unlimited."""
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
