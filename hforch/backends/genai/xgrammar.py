"""Find the parts of a JSON Schema that xgrammar, openvino-genai's grammar engine, does not enforce."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hforch.generation import grammar

# Keywords that openvino_genai 2026.4 ignores or does not verifiably enforce.
IGNORED = ("multipleOf", "minProperties", "maxProperties")
ANNOTATIONS = ("$defs", "definitions", "$schema", "$id", "$comment", "title", "description", "default", "examples")
SUBSCHEMAS = ("items", "additionalProperties", "prefixItems", "anyOf", "oneOf", "allOf")
NAMED_SUBSCHEMAS = ("properties", "patternProperties", "$defs", "definitions")


def unsupported(schema: Mapping[str, Any]) -> str | None:
    """Return a message about parts of a schema that xgrammar or llguidance cannot enforce; None if both can."""
    if problem := grammar.unsupported(schema):
        return problem
    ignored = dict.fromkeys(one for part in _parts(schema) for one in _unenforced(part))
    if not ignored:
        return None
    return f"openvino_genai's grammar engine ignores {', '.join(ignored)}; backend=openvino enforces it"


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and all its subschemas."""
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


def _unenforced(part: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of one schema, without its subschemas, that xgrammar does not enforce."""
    yield from (name for name in IGNORED if name in part)
    if part.get("type") != "integer":
        yield from (
            f"{name} of a non-integer number" for name in ("exclusiveMinimum", "exclusiveMaximum") if name in part
        )
    if "pattern" in part:
        yield from (f"{name} combined with pattern" for name in ("minLength", "maxLength", "format") if name in part)
    if len(part.get("allOf") or ()) > 1:
        yield "allOf"
    keywords = [name for name in part if name not in ANNOTATIONS]
    for name in ("$ref", "anyOf", "oneOf", "allOf"):
        if name in part and len(keywords) > 1:
            yield f"{', '.join(other for other in keywords if other != name)} combined with {name}"
    if unknown := [name for name in part.get("required") or () if name not in (part.get("properties") or {})]:
        yield f"required properties without a schema ({', '.join(unknown)})"
