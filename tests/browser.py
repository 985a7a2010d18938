"""A real browser, Debian's Chromium, driven by Playwright, with a record of console messages and requests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""In order of preference: the headless shell opens a page in two thirds of the time of the others."""
HINT = f"no Chromium: apt-get install {BROWSERS[0]}"


def chromium() -> str:
    """Return the path of Chromium. If it is missing, skip the test, or fail it if CI=true."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(HINT)
    if found is None:
        pytest.skip(HINT)
    return found


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@dataclass
class Seen:
    """A page with its console messages (`said`) and its requests (`asked`)."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def is_quiet(self) -> bool:
        """Assert that the console is empty, nothing was thrown, and only the file was requested."""
        assert self.said == []
        assert [one for one in self.asked if not one.startswith(("file:///", "blob:"))] == []
        assert len({one.partition("#")[0] for one in self.asked}) <= 1
        return True

    def violations(self) -> list[tuple[str, list[Any]]]:
        """Return the serious violations of accessibility rules that axe finds, with some of their elements."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        return [(one["id"], [node["target"] for node in one["nodes"]][:3]) for one in serious]

    def texts(self, selector: str) -> list[str]:
        return [str(one) for one in self.page.locator(selector).all_inner_texts()]


NEVER_IDLE = "window.requestIdleCallback = () => 0"


def open_page(browser: Any, file: Path, fragment: str = "", charts: bool = True, **context: Any) -> Seen:
    """Open a report and wait until it is drawn.

    Args:
        charts: whether to draw the charts, which takes half of the time. The rest of the page is the same without them.
    """
    context.setdefault("viewport", {"width": 1400, "height": 900})
    page = browser.new_context(**context).new_page()
    seen = Seen(page)
    if not charts:
        page.add_init_script(NEVER_IDLE)
    page.on("console", lambda message: seen.said.append(message.text))
    page.on("pageerror", lambda error: seen.said.append(str(error)))
    page.on("dialog", lambda dialog: (seen.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: seen.asked.append(request.url))
    page.goto(f"file://{file}{fragment and '#'}{fragment}")
    wanted = "whole" if charts else "answers"
    page.wait_for_selector(f"html[data-ready={wanted}], html[data-ready=failed]", state="attached", timeout=60_000)
    assert page.evaluate("document.documentElement.dataset.ready") == wanted, seen.said
    return seen
