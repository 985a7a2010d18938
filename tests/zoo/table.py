"""Write the table of docs/models.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version

from .rows import BACKENDS, ROOT, Row

PAGE = ROOT / "docs" / "models.md"
START, END = "<!-- table: start -->\n", "<!-- table: end -->"
LIBRARIES = (
    "transformers",
    "torch",
    "optimum-intel",
    "openvino",
    "openvino-genai",
    "openvino-tokenizers",
    "tokenizers",
)


BETWEEN = re.compile(r"(?<!\\)\|")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    columns = ("architecture", "tokenizer", "variation", *BACKENDS, "note")
    lines = [columns, ["---"] * len(columns)]
    for row in rows:
        verdicts = [row.verdicts.get(backend, "-") for backend in BACKENDS]
        lines.append([f"`{row.case.model_type}`", row.case.tokenizer, row.case.variation, *verdicts, row.note])
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def documented(page: str) -> list[list[str]]:
    """Return the cells of each row of the table in docs/models.md."""
    lines = [line for line in page.partition(START)[2].splitlines() if line.startswith("| ")]
    return [[cell.strip().replace("\\|", "|") for cell in BETWEEN.split(line)[1:-1]] for line in lines[2:]]


def versions() -> str:
    return ", ".join(f"{name} {version(name).partition('+')[0]}" for name in LIBRARIES)


def write(rows: Sequence[Row]) -> None:
    """Replace the table and the versions in docs/models.md."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(START)[0], text.partition(END)[2]
    PAGE.write_text(f"{before}{START}\nMeasured with {versions()}.\n\n{table(rows)}\n\n{END}{after}", encoding="utf-8")
