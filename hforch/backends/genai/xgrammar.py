"""What of a JSON Schema openvino-genai's grammar engine, xgrammar, does not enforce."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hforch.generation import grammar

# What xgrammar reads over, found by letting openvino_genai 2026.4 answer under each, or not shown to be kept.
IGNORED = ("multipleOf", "minProperties", "maxProperties")
SAYS_NOTHING = ("$defs", "definitions", "$schema", "$id", "$comment", "title", "description", "default", "examples")
SUBSCHEMAS = ("items", "additionalProperties", "prefixItems", "anyOf", "oneOf", "allOf")
NAMED_SUBSCHEMAS = ("properties", "patternProperties", "$defs", "definitions")


def unsupported(schema: Mapping[str, Any]) -> str | None:
    """What of a schema cannot be enforced, by xgrammar or by llguidance, for people; None if all of it is."""
    if problem := grammar.unsupported(schema):
        return problem
    ignored = dict.fromkeys(one for part in _parts(schema) for one in _read_over(part))
    if not ignored:
        return None
    return f"openvino_genai's grammar engine reads over {', '.join(ignored)}; backend=openvino heeds it"


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all schemas in it."""
    if isinstance(schema, list | tuple):
        for each in schema:
            yield from _parts(each)
    if not isinstance(schema, Mapping):
        return
    yield schema
    for name in SUBSCHEMAS:
        yield from _parts(schema.get(name))
    for name in NAMED_SUBSCHEMAS:
        yield from _parts(list((schema.get(name) or {}).values()))


def _read_over(part: Mapping[str, Any]) -> Iterator[str]:
    """What of one schema, those in it aside, xgrammar does not enforce."""
    yield from (name for name in IGNORED if name in part)
    if part.get("type") != "integer":
        yield from (f"{name} of a number" for name in ("exclusiveMinimum", "exclusiveMaximum") if name in part)
    if "pattern" in part:
        yield from (f"{name} beside pattern" for name in ("minLength", "maxLength", "format") if name in part)
    if len(part.get("allOf") or ()) > 1:
        yield "allOf"
    said = [name for name in part if name not in SAYS_NOTHING]
    for name in ("$ref", "anyOf", "oneOf", "allOf"):
        if name in part and len(said) > 1:
            yield f"{', '.join(other for other in said if other != name)} beside {name}"
    if unknown := [name for name in part.get("required") or () if name not in (part.get("properties") or {})]:
        yield f"required properties that are not described ({', '.join(unknown)})"
