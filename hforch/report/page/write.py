"""Write the report as one HTML file with style, scripts and data, and a policy that blocks everything else."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from errno import EISDIR
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hforch
from hforch.comparison.decision import Criteria
from hforch.comparison.entries import Entry
from hforch.comparison.table import compare
from hforch.errors import ConfigError, HforchError, Mistake
from hforch.models.cache import cached_text
from hforch.report.page.collect import Page, collect
from hforch.report.page.first_pass import first_pass
from hforch.utils.files import output
from hforch.utils.json_text import to_json

PARTS = Path(__file__).parent / "parts"
SCRIPTS = (
    "text",
    "state",
    "data",
    "about",
    "wide",
    "jobs",
    "labels",
    "charts",
    "filters",
    "grid",
    "drawer",
    "again",
    "main",
)
VEGA_LITE = "6.4"
NEEDS = {"altair": "altair", "vl_convert": "vl-convert-python"}


def missing_libraries() -> list[Mistake]:
    """Return an error if libraries that the report requires are not installed."""
    from importlib.util import find_spec

    gone = [name for module, name in NEEDS.items() if find_spec(module) is None]
    problem = f"the report requires {' and '.join(gone)}"
    return [Mistake("", problem, None, "pip install 'hforch[report]'")] if gone else []


def write_page(
    target: Path,
    entries: Sequence[Entry],
    unread: Iterable[Mistake] = (),
    baseline: Mapping[str, str] | None = None,
    criteria: Criteria | None = None,
    most: int | None = None,
) -> tuple[Page, bool]:
    """Write the report of some jobs.

    Args:
        unread: the errors of jobs that could not be read.
        most: the approximate number of inputs to show; None for as many as a report can show.

    Returns:
        the data of the report, and whether a job meets all requirements.

    Raises:
        ConfigError: no job matches the baseline.
        HforchError: the file cannot be written.
    """
    if mistakes := missing_libraries():
        raise ConfigError(mistakes)
    entries, seen = first_pass(entries)
    criteria = criteria or Criteria()
    comparison = compare(entries, baseline, confidence=criteria.confidence)
    decision = criteria.decide(comparison)
    missing = [*("; ".join(filter(None, (one.problem, one.hint))) for one in unread), *seen.missing]
    page = collect(comparison, seen, missing, decision, criteria, most)
    pieces = page_of(page)
    try:
        if target.is_dir():
            raise IsADirectoryError(EISDIR, "it is a directory")
        with output(target) as file:
            file.writelines(pieces)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise HforchError(f"cannot write {target}: {reason}\n    use -o FILE to write elsewhere") from error
    return page, decision is None or bool(decision.qualified)


def page_of(page: Page) -> Iterable[str]:
    """Return the HTML of the report in pieces."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    style, script = (PARTS / "page.css").read_text("utf-8"), _script()
    environment = Environment(loader=FileSystemLoader(PARTS), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").generate(
        title="hforch report",
        version=hforch.__version__,
        style=Markup(style),
        script=Markup(script),
        library=Markup(library()),
        style_hashes=Markup(_hash(style)),
        script_hashes=Markup(f"{_hash(library())} {_hash(script)}"),
        summary=packed(page.summary),
        parts=map(packed, page.parts()),
    )


@cache
def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, cached because bundling takes 2 s."""
    name = f"vega-lite-{VEGA_LITE}-vl-convert-{version(NEEDS['vl_convert'])}.js"
    return _inline(cached_text(name, _bundle))


def _bundle() -> str:
    import vl_convert

    text: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)
    return text


def _script() -> str:
    """Return all scripts of the report, concatenated in one function scope."""
    files = [(PARTS / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    return _inline('(() => {\n"use strict";\n' + "\n".join(files) + "})();\n")


def _inline(script: str) -> str:
    """Escape a script for HTML, so that it neither ends the script element nor starts a comment."""
    return script.replace("</script", "<\\/script").replace("<!--", "< !--")


def _hash(text: str) -> str:
    """Return the hash of an inline script or style for a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def packed(value: Any) -> str:
    """Return a value as gzipped JSON in base64, which contains no markup."""
    return base64.b64encode(gzip.compress(to_json(value).encode(), compresslevel=6, mtime=0)).decode()
