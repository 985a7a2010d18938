"""Generate the JSON Schemas of record.json, of a line of samples.jsonl, and of sweep.json."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from hforch.records.fields import Part
from hforch.records.record import Record
from hforch.records.sample import Sample
from hforch.records.sweep import SweepRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILES: dict[str, tuple[type[Part], str]] = {
    "record": (Record, "hforch record.json: one job"),
    "sample": (Sample, "hforch samples.jsonl: one line"),
    "sweep": (SweepRecord, "hforch sweep.json: one sweep"),
}


class _WithoutTitles(GenerateJsonSchema):
    """A generator that omits the titles of keys, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def names() -> tuple[str, ...]:
    """Return the names of the schemas."""
    return tuple(FILES)


def schema_of(name: str) -> dict[str, Any]:
    """Return a schema by name, with the keys that this version writes."""
    part, title = FILES[name]
    schema = part.model_json_schema(schema_generator=_WithoutTitles)
    return {"$schema": DIALECT, **schema, "title": title}
