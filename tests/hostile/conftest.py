"""Print a summary: how many commands of each kind were tried, and how many did harm."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import rule

KINDS = {
    "test_hostile_configurations": "configurations",
    "test_hostile_recipes": "recipes",
    "test_hostile_models": "damaged models",
    "test_damaged_runs": "damaged run directories",
    "test_terminal_strings": "terminal strings",
}
tried: Counter[str] = Counter()
harm: Counter[str] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    rule.attempts = 0
    try:
        return (yield)
    finally:
        item.user_properties.append(("tried", rule.attempts))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect the results, also those of several processes."""
    kind = KINDS.get(report.nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py"), "others")
    if report.when == "call" and "hostile/" in report.nodeid:
        tried[kind] += int(dict(report.user_properties).get("tried", 0)) or 1
        harm[kind] += report.failed


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not tried:
        return
    terminalreporter.section("hostile inputs: commands tried, tests failed")
    for kind in [*KINDS.values(), "others"]:
        if kind in tried:
            terminalreporter.line(f"{kind:26} {tried[kind]:6} {harm[kind]:4}")
