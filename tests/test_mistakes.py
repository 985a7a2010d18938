"""Every mistake of the list is met by a clear message, the right exit code, no traceback, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mistaken import CASES
from mistakes import Case, Workshop, make, problems_of


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with Workshop(tmp_path_factory.mktemp("workshop")) as workshop:
        yield workshop


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_it_is_met_by_a_clear_message(case: Case, workshop: Workshop, tmp_path: Path) -> None:
    if reason := case.unless():
        pytest.skip(reason)
    told = make(case, workshop, tmp_path)
    assert not problems_of(case, told), told.all
