"""Fixtures: the report of a hand-written sweep, and a browser to open it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as real
import pytest
from command_line import hforch
from reported import write_reported


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with real.browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of three jobs, with a decision."""
    directory = write_reported(tmp_path_factory.mktemp("reported") / "sweep")
    hforch("report", str(directory), "--require", "exact_match>=0.5", "--optimize", "tokens_per_s")
    return directory / "report.html"


@pytest.fixture
def seen(browser: Any, reported: Path) -> Iterator[real.Seen]:
    """That report, opened without charts. The console must stay empty, and only the file may be requested."""
    yield from quiet(real.open_page(browser, reported, charts=False))


@pytest.fixture
def drawn(browser: Any, reported: Path) -> Iterator[real.Seen]:
    """That report, opened with charts."""
    yield from quiet(real.open_page(browser, reported))


def quiet(seen: real.Seen) -> Iterator[real.Seen]:
    yield seen
    assert seen.is_quiet()
    seen.page.context.close()
