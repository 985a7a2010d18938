"""Generate the tables of keys in docs/metrics.md: `python -m hforch.records.docs docs/metrics.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic.fields import FieldInfo

from hforch.records.fields import Part
from hforch.records.machine import Effective, Environment
from hforch.records.record import Model, Record
from hforch.records.schemas import FILES
from hforch.utils.markdown import table, with_tables

EXPLAINED: dict[type[Part], Sequence[tuple[str, type[Part], str]]] = {
    Record: (
        ("model", Model, "engine_check"),
        ("model", Model, "likelihood"),
        ("effective", Effective, "device_map"),
        ("environment", Environment, "accelerators"),
    )
}
"""Nested keys with a separate row; the JSON Schemas have all keys."""


def tables() -> dict[str, str]:
    """Return each table as Markdown, by the name in its marker."""
    return {name: table(("key", "description"), _rows(part)) for name, (part, _) in FILES.items()}


def rewritten(text: str) -> str:
    """Replace the tables between the markers of a page.

    Raises:
        KeyError: a marker has an unknown name.
    """
    return with_tables(text, "keys", tables())


def _rows(part: type[Part]) -> Iterator[list[str]]:
    for name, info in part.model_fields.items():
        yield _row(name, info)
        for above, inner, key in EXPLAINED.get(part, ()):
            if above == name:
                yield _row(f"{name}.{key}", inner.model_fields[key])


def _row(name: str, info: FieldInfo) -> list[str]:
    return [f"`{name}`", info.description or ""]


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")
