"""Limit the digits of numbers in a JSON Schema, since small models repeat digits until the answer is truncated."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

LARGEST = 2**53 - 1
"""The largest integer of an answer unless the schema sets a bound; JSON numbers are exact up to here (RFC 8259)."""
DECIMALS, MOST_DECIMALS = 6, 9
"""Decimals of a number with a bound, and the maximum if a bound has more; llguidance supports no more than 9."""
SIXTY_FOUR_BITS = 2**63 - 1  # llguidance's integers
LOWER, UPPER = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")
SUBSCHEMAS = ("items", "additionalProperties", "prefixItems", "anyOf", "oneOf", "allOf")
ELSEWHERE = ("enum", "const", "$ref", "anyOf", "oneOf", "allOf")
"""Keywords with values or subschemas that limit numbers themselves."""
NAMED_SUBSCHEMAS = ("properties", "patternProperties", "$defs", "definitions")


def bounded(schema: Any) -> Any:
    """Return a schema whose integers, and numbers with a bound, have a limited number of digits.

    A missing bound becomes LARGEST or -LARGEST, and a number with a bound has at most DECIMALS decimals. A number
    without any bound is unchanged, since it may have an exponent. Every answer valid against the result is valid
    against the schema.
    """
    if isinstance(schema, list | tuple):
        return [bounded(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = dict(schema)
    for name in SUBSCHEMAS:
        if name in found:
            found[name] = bounded(found[name])
    for name in NAMED_SUBSCHEMAS:
        if isinstance(found.get(name), Mapping):
            found[name] = {key: bounded(value) for key, value in found[name].items()}
    return found | _limits(found)


def has_huge_numbers(schema: Any) -> bool:
    """Return whether a bound admits only numbers beyond 64 bits, which llguidance replaces or crashes on."""
    if isinstance(schema, list | tuple):
        return any(map(has_huge_numbers, schema))
    if not isinstance(schema, Mapping):
        return False
    lower, upper = ([schema[name] for name in names if _is_number(schema.get(name))] for names in (LOWER, UPPER))
    if any(value > SIXTY_FOUR_BITS for value in lower) or any(value < -SIXTY_FOUR_BITS for value in upper):
        return True
    named = [schema[name].values() for name in NAMED_SUBSCHEMAS if isinstance(schema.get(name), Mapping)]
    parts = [schema[name] for name in SUBSCHEMAS if name in schema]
    return any(map(has_huge_numbers, [*parts, *(inner for values in named for inner in values)]))


def decimals_of(value: Any) -> int:
    """Return the number of decimals of a number."""
    exponent = Decimal(str(value)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _limits(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords to add to one schema, without its subschemas."""
    named = schema.get("type", "number")
    kinds = {named} if isinstance(named, str) else set(named)
    given = {name: schema[name] for name in (*LOWER, *UPPER) if _is_number(schema.get(name))}
    is_number = "number" in kinds and bool(given or "multipleOf" in schema)
    is_integer = "integer" in kinds and "number" not in kinds
    if not (is_number or is_integer) or any(name in schema for name in ELSEWHERE):
        return {}
    found: dict[str, Any] = {}
    lower, upper = ([given[name] for name in names if name in given] for names in (LOWER, UPPER))
    if not lower:
        found["minimum"] = min([-LARGEST, *(10 * int(value) for value in upper)])
    if not upper:
        found["maximum"] = max([LARGEST, *(10 * int(value) for value in lower)])
    most = max([DECIMALS, *map(decimals_of, given.values())])
    if is_number and "multipleOf" not in schema and most <= MOST_DECIMALS:
        found["multipleOf"] = float(Decimal(1).scaleb(-most))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
