"""Every listed mistake causes a clear message, the right exit code and no traceback, and loses no data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mistaken import CASES
from mistakes import Case, Workshop, make, problems_of


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with Workshop(tmp_path_factory.mktemp("workshop")) as workshop:
        yield workshop


def marked(case: Case) -> Any:
    """Return the case as a parameter, marked if it needs a model, an export or OpenVINO."""
    loads = case.heavy or any(name in word for name in ("{gpt2}", "{ir}", "{gguf}", "{hub}") for word in told_to(case))
    on_openvino = case.heavy and any("backend=openvino" in word or "{ir}" in word for word in case.command)
    marks = [*([pytest.mark.model] if loads else []), *([pytest.mark.openvino] if on_openvino else [])]
    return pytest.param(case, id=case.name.replace(" ", "-"), marks=marks)


def told_to(case: Case) -> list[str]:
    return [*case.command, *case.env.values()]


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_a_mistake_causes_a_clear_message(case: Case, workshop: Workshop, tmp_path: Path) -> None:
    if reason := case.unless():
        pytest.skip(reason)
    told = make(case, workshop, tmp_path)
    assert not problems_of(case, told), told.all
