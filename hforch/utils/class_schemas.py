"""Hints for callers who pass a class, such as a pydantic model, in place of its JSON Schema."""

from __future__ import annotations


def hint_for_class(kind: type) -> str:
    """Return how to write the JSON Schema of a class."""
    if hasattr(kind, "model_json_schema"):
        return f"{kind.__name__}.model_json_schema()"
    return f"pydantic.TypeAdapter({kind.__name__}).json_schema()"
