"""Generate the table of kinds in docs/checks.md: `python -m hforch.checks.docs docs/checks.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from hforch.checks.registry import KINDS
from hforch.utils.markdown import table, with_tables


def rewritten(text: str) -> str:
    """Return the text with the table between its markers replaced."""
    rows = ([f"`{name}`", kind.passed_when, f"`{kind.example}`"] for name, kind in KINDS.items())
    return with_tables(text, "checks", {"kinds": table(("kind", "passed when", "example"), rows)})


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(rewritten(page.read_text(encoding="utf-8")), encoding="utf-8")
