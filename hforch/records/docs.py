"""The tables of keys in docs/metrics.md: `python -m hforch.records.docs docs/metrics.md` writes them anew."""

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
        ("model", Model, "likelihood"),
        ("effective", Effective, "device_map"),
        ("environment", Environment, "accelerators"),
    )
}
"""Keys within others that have a row of their own; the JSON Schemas have all."""


def tables() -> dict[str, str]:
    """Return each table as Markdown, by the name in its mark."""
    return {name: table(("key", "holds"), _rows(part)) for name, (part, _) in FILES.items()}


def rewritten(text: str) -> str:
    """Return a page with the tables between its marks replaced.

    Raises:
        KeyError: a mark names no table.
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
