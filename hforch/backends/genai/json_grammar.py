"""Convert JSON Schemas to EBNF for xgrammar, openvino-genai's grammar engine.

openvino-genai passes a JSON Schema to xgrammar without settings, so xgrammar allows any amount of whitespace between
tokens, and small models generate nothing else. This grammar allows the same whitespace as llguidance's on the other
backends (`generation/grammar.py`), and the same order of properties, escapes and numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from hforch.backends.genai import pattern_grammar
from hforch.backends.genai.number_grammar import NUMBER, decimals, either, integers
from hforch.backends.genai.string_grammar import ALL, characters, literal, other_than
from hforch.generation.bounded_schema import bounded, decimals_of
from hforch.generation.grammar import MOST_BLANKS

KINDS = ("object", "array", "string", "number", "boolean", "null")
OF_KIND = {
    "object": ("properties", "required", "additionalProperties", "patternProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""Keywords that the grammar enforces, by the type of the values to which they apply."""
IN_PLACE = ("$ref", "anyOf", "oneOf", "allOf")
"""Keywords that the grammar enforces only without others."""
ANNOTATIONS = ("$defs", "definitions", "$schema", "$id", "$comment", "title", "description", "default", "examples")
ENFORCED = {"type", "enum", "const", *IN_PLACE, *(name for names in OF_KIND.values() for name in names)}
SPACE, CHARACTER, ANYTHING = "space", "character", "anything"
COMMA, COLON = f'{SPACE} "," {SPACE}', f'{SPACE} ":" {SPACE}'


class Unenforced(ValueError):
    """A schema has parts that the grammar cannot enforce; the message lists them."""


@lru_cache(maxsize=64)
def ebnf(schema: str) -> str:
    """Return the grammar of the JSON texts that are valid against a schema, given as JSON.

    Raises:
        Unenforced: the grammar cannot enforce parts of the schema.
    """
    grammar = _Grammar(bounded(json.loads(schema)))
    if grammar.lacks:
        raise Unenforced(", ".join(grammar.lacks))
    return "".join(f"{name} ::= {body}\n" for name, body in grammar.rules.items())


class _Grammar:
    """The rules of a schema.

    Attributes:
        rules: the rules by name.
        lacks: parts of the schema that the rules do not enforce.
    """

    def __init__(self, document: Any) -> None:
        self.document = document
        self.lacks: dict[str, None] = {}
        self._references: dict[str, str] = {}
        self._names: dict[str, str] = {}  # of rules, by body
        self.rules = {
            "root": "",
            SPACE: f'"\\n"? " "{{0,{MOST_BLANKS}}}',
            CHARACTER: characters(ALL),
        }
        self.rules["root"] = self.value(document)

    def value(self, schema: Any) -> str:
        """Return the expression of the values that are valid against a schema."""
        if not isinstance(schema, Mapping):
            return self._anything() if schema is not False else self._lack("false")
        keywords = [name for name in schema if name not in ANNOTATIONS]
        if unknown := [name for name in keywords if name not in ENFORCED and name in _validated()]:
            return self._lack(*unknown)
        if "enum" in schema or "const" in schema:
            return either([_constant(value) for value in _allowed(schema)] or [self._lack("enum")])
        for name in IN_PLACE:
            if name in schema:
                others = ", ".join(other for other in keywords if other != name)
                return self._lack(f"{others} combined with {name}") if others else self._in_place(name, schema[name])
        if not keywords:
            return self._anything()
        kinds = schema.get("type", KINDS)
        kinds = (
            [kinds] if isinstance(kinds, str) else [one for one in kinds if one != "integer" or "number" not in kinds]
        )
        return either([self._of_kind(kind, schema) for kind in kinds])

    def _anything(self) -> str:
        """Return the name of the rule for any JSON value."""
        if ANYTHING not in self.rules:
            self.rules[ANYTHING] = ""  # before its body, which refers to it
            self.rules[ANYTHING] = either([self._of_kind(kind, {}) for kind in KINDS])
        return ANYTHING

    def _lack(self, *parts: str) -> str:
        self.lacks |= dict.fromkeys(parts)
        return '""'

    def _rule(self, body: str) -> str:
        """Return the name of the rule with this body, added if missing; fewer rules compile faster."""
        name = self._names.setdefault(body, f"rule{len(self.rules)}")
        self.rules[name] = body
        return name

    def _in_place(self, name: str, given: Any) -> str:
        if name == "$ref":
            return self._reference(given)
        if name == "allOf" and len(given) > 1:
            return self._lack("allOf")
        return either([self.value(each) for each in given])  # llguidance rejects a oneOf whose options overlap

    def _reference(self, reference: str) -> str:
        if reference not in self._references:
            found = self.document
            if reference != "#" and not reference.startswith("#/"):
                return self._lack(f"$ref to {reference}")
            for part in unquote(reference).split("/")[1:]:
                key = part.replace("~1", "/").replace("~0", "~")
                found = found[int(key)] if isinstance(found, list) else found[key]
            self._references[reference] = name = f"reference{len(self._references)}"
            self.rules[name] = ""  # before its body, which may refer to it
            self.rules[name] = self.value(found)
        return self._references[reference]

    def _of_kind(self, kind: str, schema: Mapping[str, Any]) -> str:
        match kind:
            case "object":
                return self._object(schema)
            case "array":
                return self._array(schema)
            case "string":
                return self._string(schema)
            case "number" | "integer":
                return self._number(schema, kind == "integer")
            case "boolean":
                return '("true" | "false")'
            case _:
                return '"null"'

    # ------------------------------------------------------------ objects
    def _object(self, schema: Mapping[str, Any]) -> str:
        properties, required = schema.get("properties") or {}, schema.get("required") or ()
        others = schema.get("additionalProperties", True)
        known = {**properties, **{name: others for name in required if name not in properties}}
        values = {name: self.value(inner) for name, inner in known.items() if inner is not False}
        more = self._more_pairs(schema, known, others)
        end = f'{SPACE} "}}"'
        after = self._rule(f"({COMMA} {more})* {end}" if more else end)  # after at least one pair
        first = f'({more} {after} | "}}")' if more else '"}"'  # before any pair
        for name, value in reversed(values.items()):
            pair = self._rule(f"{literal(json.dumps(name, ensure_ascii=False))} {COLON} {value}")
            follows, skips = f"{pair} {after}", name not in required
            first = f"({follows} | {first})" if skips else follows
            after = self._rule(f"{COMMA} {follows}" + (f" | {after}" if skips else ""))
            first = self._rule(first)
        return self._rule(f'"{{" {SPACE} {first}')

    def _more_pairs(self, schema: Mapping[str, Any], known: Mapping[str, Any], others: Any) -> str | None:
        """Return the expression of a pair whose name is not in `known`; None if no other pair is allowed."""
        patterns = schema.get("patternProperties") or {}
        if patterns:
            if len(patterns) > 1 or known or others is not False:
                self._lack("patternProperties combined with other properties")
            (pattern, others), *_ = patterns.items()
            name = self._matching(pattern)
        elif others is False:
            return None
        else:
            name = other_than(known, CHARACTER)
        return self._rule(f"{literal(chr(34))} {name} {literal(chr(34))} {COLON} {self.value(others)}")

    # ------------------------------------------------------------ arrays
    def _array(self, schema: Mapping[str, Any]) -> str:
        fixed, rest = list(schema.get("prefixItems") or ()), schema.get("items", True)
        least, most = int(schema.get("minItems", 0)), float(schema.get("maxItems", math.inf))
        if isinstance(rest, list):
            return self._lack("items as a list")
        fixed = fixed[: int(min(most, len(fixed)))]
        place = len(fixed)  # items from here on are alike
        tail = ""
        if rest is not False and most > place:
            each = self.value(rest)
            next_one = self._rule(f"{COMMA} {each}")
            if not fixed:
                items = f"{each} {_times(next_one, max(0, least - 1), most - 1)} {SPACE}"
                return self._rule(f'"[" {SPACE} {items if least else f"({items})?"} "]"')
            tail = _times(next_one, max(0, least - place), most - place)
        if not fixed:
            return self._rule(f'"[" {SPACE} "]"')
        for number in range(place - 1, 0, -1):
            tail = f"{COMMA} {self.value(fixed[number])} {tail}"
            tail = self._rule(tail if number < least else f"({tail})?")
        items = f"{self.value(fixed[0])} {tail} {SPACE}"
        return self._rule(f'"[" {SPACE} {items if least else f"({items})?"} "]"')

    # ------------------------------------------------------------ strings and numbers
    def _string(self, schema: Mapping[str, Any]) -> str:
        lengths = [name for name in ("minLength", "maxLength") if name in schema]
        shapes = [name for name in ("pattern", "format") if name in schema]
        if len(shapes) > 1 or (shapes and lengths):
            return self._lack(*(f"{name} combined with {shapes[0]}" for name in (*lengths, *shapes[1:])))
        if "pattern" in schema:
            content = self._matching(schema["pattern"])
        elif "format" in schema:
            shape = pattern_grammar.FORMATS.get(schema["format"])
            content = self._lack(f"format {schema['format']}") if shape is None else self._matching(f"^({shape})$")
        else:
            content = _times(CHARACTER, schema.get("minLength", 0), schema.get("maxLength", math.inf))
        return self._rule(f"{literal(chr(34))} {content} {literal(chr(34))}")

    def _matching(self, pattern: str) -> str:
        try:
            return pattern_grammar.matching(pattern, CHARACTER)
        except pattern_grammar.Unsupported as error:
            return self._lack(f"pattern {pattern} ({error})")

    def _number(self, schema: Mapping[str, Any], is_integer: bool) -> str:
        """Return the expression of the numbers in a range; `bounded` has filled in the missing bound."""
        step = schema.get("multipleOf")
        places = 0 if is_integer else decimals_of(step) if step is not None else None
        if step is not None and Decimal(str(step)) != Decimal(1).scaleb(-decimals_of(step)):
            return self._lack("multipleOf")
        if not any(name in schema for name in OF_KIND["number"]):
            return NUMBER
        if places is None:
            return self._lack("bounds with many decimals")
        lowest = [
            *_scaled(schema, "minimum", places, ROUND_CEILING, 0),
            *_scaled(schema, "exclusiveMinimum", places, ROUND_FLOOR, 1),
        ]
        highest = [
            *_scaled(schema, "maximum", places, ROUND_FLOOR, 0),
            *_scaled(schema, "exclusiveMaximum", places, ROUND_CEILING, -1),
        ]
        least, most = max(lowest), min(highest)
        if least > most:
            return self._lack("an empty range of numbers")
        return self._rule(integers(least, most) if is_integer else decimals(least, most, places))


def _scaled(schema: Mapping[str, Any], name: str, places: int, rounding: str, offset: int) -> Iterator[int]:
    """Yield a bound, multiplied by 10**places, as the nearest integer within it; nothing without this bound."""
    if name in schema:
        yield int(Decimal(str(schema[name])).scaleb(places).to_integral_value(rounding)) + offset


def _times(expression: str, least: float, most: float) -> str:
    return f"{expression}{{{int(least)},{'' if math.isinf(most) else int(most)}}}"


def _allowed(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the values of an enum or const that are valid against the other keywords too."""
    from jsonschema.validators import Draft202012Validator

    whole = Draft202012Validator(schema)
    for value in schema.get("enum", [schema.get("const")]):
        if whole.is_valid(value):
            yield value


def _constant(value: Any) -> str:
    """Return the expression of a JSON value, with optional whitespace."""
    if isinstance(value, Mapping):
        pairs = [f"{_constant(name)} {COLON} {_constant(inner)}" for name, inner in value.items()]
        return _enclosed("{", pairs, "}")
    if isinstance(value, list | tuple):
        return _enclosed("[", [_constant(inner) for inner in value], "]")
    if isinstance(value, float) and value.is_integer() and abs(value) < 10**15:
        value = int(value)  # as llguidance does
    return literal(json.dumps(value, ensure_ascii=False))


def _enclosed(start: str, parts: Sequence[str], end: str) -> str:
    inside = f"{f' {COMMA} '.join(parts)} {SPACE} " if parts else ""
    return f"{literal(start)} {SPACE} {inside}{literal(end)}"


@lru_cache(maxsize=1)
def _validated() -> frozenset[str]:
    """Return the keywords that restrict values, in any version of JSON Schema."""
    from jsonschema import validators

    kinds = (validators.Draft4Validator, validators.Draft7Validator, validators.Draft202012Validator)
    return frozenset(name for kind in kinds for name in kind.VALIDATORS)
