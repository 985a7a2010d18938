"""Kinds of checks are found in their package, and docs/checks.md lists them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml

from hforch.checks.docs import rewritten
from hforch.checks.registry import KINDS
from hforch.config.checks import expand_short_form
from hforch.config.schema import Checks

PAGE = Path(__file__).parents[2] / "docs" / "checks.md"


def test_there_are_kinds() -> None:
    assert {"contains", "equals", "json_schema", "levenshtein"} <= set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_named_after_its_module_and_has_all_defaults(name: str) -> None:
    kind = KINDS[name]
    assert get_args(kind.model_fields["kind"].annotation) == (name,)
    assert set(kind.defaults) == set(kind.model_fields) - {"kind", "value"}


@pytest.mark.parametrize("name", KINDS)
def test_the_example_of_a_kind_is_a_valid_check(name: str) -> None:
    item = yaml.safe_load(KINDS[name].example)
    assert expand_short_form(item)["kind"] == name
    (check,) = Checks.model_validate({"items": [item], "strip": True}).items
    assert isinstance(check, KINDS[name])


def test_the_table_of_kinds_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert rewritten(text) == text, "run `make schema`"
    assert all(f"| `{name}` |" in text for name in KINDS)
