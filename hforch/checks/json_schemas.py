"""JSON Schemas that users give: read from a file, made into validators, and held against answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from hforch.checks.base import LONGEST_SEEN, Verdict, brief
from hforch.checks.patterns import Pattern, patterns_in, unbounded, with_patterns
from hforch.errors import shown
from hforch.utils.paths import expanded, read_text

MOST_BYTES = 2**20  # of a file with a JSON Schema


def schema_of(value: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return a JSON Schema that is given itself, or by the path of a file.

    Raises:
        ValueError: the file cannot be read, or it is no JSON Schema.
    """
    schema = parse(read_schema(value)) if isinstance(value, str) else value
    validator(schema)
    return dict(cast(Mapping[str, Any], schema))


def read_schema(path: str) -> str:
    """Return the text of a file that holds a JSON Schema.

    Raises:
        ValueError: it cannot be read; says why.
    """
    try:
        return read_text(expanded(path), "utf-8-sig", MOST_BYTES)
    except OSError as error:
        raise ValueError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ValueError("is no UTF-8 text") from error


def parse(text: str) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {error}") from error


def validator(schema: Any) -> Any:
    """Return a JSON Schema as a validator that looks nothing up on a network; draft 2020-12 if it names no other.

    Raises:
        ValueError: it is no JSON Schema, or none that can be applied within bounds; says why.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    if not isinstance(schema, Mapping):
        raise ValueError(f"is no JSON Schema: it must be a mapping, and is {brief(schema)}")
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except SchemaError as error:
        at = ".".join(map(str, error.absolute_path))
        raise ValueError(f"is no JSON Schema: {f'{at}: ' if at else ''}{error.message}") from error
    except (RecursionError, OverflowError) as error:
        raise ValueError("is no JSON Schema: it is nested too deeply") from error
    for text in patterns_in(schema):
        Pattern(text)
    if unbounded(schema):
        raise ValueError("has unevaluatedProperties and patternProperties; leave one of them out")
    resolver = REGISTRY.resolver_with_root(DRAFT202012.create_resource(dict(schema)))
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise ValueError(f"refers to {reference}, which is not in it") from error
    return with_patterns(kind)(dict(schema), registry=REGISTRY)


def conforms(text: str, validator: Any) -> Verdict:
    """Hold an answer against a schema.

    Raises:
        Undecided: one of the schema's patterns takes too long.
    """
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Verdict(False, f"it is no JSON: {error or 'nested too deeply'}")
    try:
        misfit = best_match(validator.iter_errors(value))
    except (Unresolvable, RecursionError, re.error) as unusable:
        problem = f"the schema cannot be applied: {unusable or 'it refers to itself'}"
        return Verdict(False, shown(problem, LONGEST_SEEN))
    if misfit is None:
        return Verdict(True, "it fits the schema")
    at = misfit.json_path.removeprefix("$").removeprefix(".")
    return Verdict(False, shown(f"{f'{at}: ' if at else ''}{misfit.message}", LONGEST_SEEN))


def _references(node: Any) -> Iterator[str]:
    """Yield every `$ref` of a schema, as far as its names are relative to the whole of it."""
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for key, inner in node.items():
            if key not in ("enum", "const", "default", "examples", "properties"):
                yield from () if isinstance(inner, Mapping) and "$id" in inner else _references(inner)
            elif key == "properties" and isinstance(inner, Mapping):
                for each in inner.values():
                    yield from _references(each)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _references(inner)
