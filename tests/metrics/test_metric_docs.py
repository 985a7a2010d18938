"""The metric tables in docs/metrics.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hforch.metrics.docs import rewritten, tables

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_tables_are_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert rewritten(text) == text, "run `make schema`"
    assert set(re.findall(r"<!-- metrics: (\w+) -->", text)) == set(tables())


def test_tables_are_replaced_and_other_text_stays() -> None:
    text = "before\n<!-- metrics: on_text -->\n| old |\n<!-- end -->\nafter\n"
    found = rewritten(text)
    assert found.startswith("before\n<!-- metrics: on_text -->\n| name |") and found.endswith(
        "|\n<!-- end -->\nafter\n"
    )
    assert "old" not in found and "`ppl`" in found


def test_an_unknown_marker_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        rewritten("<!-- metrics: nothing -->\n<!-- end -->")
