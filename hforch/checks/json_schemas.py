"""Read users' JSON Schemas and validate answers against them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from hforch.checks.base import LONGEST_SEEN, Verdict, brief
from hforch.checks.patterns import Pattern, patterns_in, unbounded, with_patterns
from hforch.errors import shown
from hforch.utils.paths import expanded, read_text

MOST_BYTES = 2**20  # maximum size of a schema file


def schema_of(value: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return a JSON Schema given as a mapping or as the path of a file.

    Raises:
        ValueError: the file cannot be read, or is not a valid JSON Schema.
    """
    schema = parse(read_schema(value)) if isinstance(value, str) else value
    validator(schema)
    return dict(cast(Mapping[str, Any], schema))


def read_schema(path: str) -> str:
    """Return the text of a file that contains a JSON Schema.

    Raises:
        ValueError: the file cannot be read; the message states the reason.
    """
    try:
        return read_text(expanded(path), "utf-8-sig", MOST_BYTES)
    except OSError as error:
        raise ValueError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error


def parse(text: str) -> Any:
    """Parse JSON.

    Raises:
        ValueError: the text is not valid JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not valid JSON: {error}") from error


def validator(schema: Any) -> Any:
    """Return a validator for a JSON Schema, of draft 2020-12 unless `$schema` names another. It never uses the network.

    Raises:
        ValueError: the schema is invalid, or validation might take forever; the message states the reason.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    if not isinstance(schema, Mapping):
        raise ValueError(f"is not a valid JSON Schema: must be a mapping; got {brief(schema)}")
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except SchemaError as error:
        at = ".".join(map(str, error.absolute_path))
        raise ValueError(f"is not a valid JSON Schema: {f'{at}: ' if at else ''}{error.message}") from error
    except (RecursionError, OverflowError) as error:
        raise ValueError("is not a valid JSON Schema: nested too deeply") from error
    for text in patterns_in(schema):
        Pattern(text)
    if unbounded(schema):
        raise ValueError("has both unevaluatedProperties and patternProperties; remove one")
    resolver = REGISTRY.resolver_with_root(DRAFT202012.create_resource(dict(schema)))
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise ValueError(f"has a $ref to {reference}, which it does not define") from error
    return with_patterns(kind)(dict(schema), registry=REGISTRY)


def conforms(text: str, validator: Any) -> Verdict:
    """Validate an answer against a schema.

    Raises:
        Undecided: a search for one of the schema's patterns timed out.
    """
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Verdict(False, f"not valid JSON: {error or 'nested too deeply'}")
    try:
        misfit = best_match(validator.iter_errors(value))
    except (Unresolvable, RecursionError, re.error) as unusable:
        problem = f"the schema cannot be applied: {unusable or 'infinite recursion'}"
        return Verdict(False, shown(problem, LONGEST_SEEN))
    if misfit is None:
        return Verdict(True, "the answer matches the schema")
    at = misfit.json_path.removeprefix("$").removeprefix(".")
    return Verdict(False, shown(f"{f'{at}: ' if at else ''}{misfit.message}", LONGEST_SEEN))


def _references(node: Any) -> Iterator[str]:
    """Yield each `$ref` of a schema, except in subschemas with their own `$id`."""
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
