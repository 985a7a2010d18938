"""Write the table of docs/models.md."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from .rows import BACKENDS, ROOT, Row

PAGE = ROOT / "docs" / "models.md"
LIBRARIES = ("transformers", "torch", "optimum-intel", "openvino", "openvino-genai", "openvino-tokenizers", "tokenizers")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    columns = ("architecture", "tokenizer", "variation", *BACKENDS, "note")
    lines = [columns, ["---"] * len(columns)]
    for row in rows:
        verdicts = [row.verdicts.get(backend, "-") for backend in BACKENDS]
        lines.append([f"`{row.case.model_type}`", row.case.tokenizer, row.case.variation, *verdicts, row.note])
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def versions() -> str:
    return ", ".join(f"{name} {version(name).partition('+')[0]}" for name in LIBRARIES)


def write(rows: Sequence[Row]) -> None:
    """Replace the table and the versions in docs/models.md."""
    start, end = "<!-- table: start -->\n", "<!-- table: end -->"
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(start)[0], text.partition(end)[2]
    PAGE.write_text(f"{before}{start}\nMeasured with {versions()}.\n\n{table(rows)}\n\n{end}{after}", encoding="utf-8")
