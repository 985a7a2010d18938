"""Damaged records, samples and scores: the report shows everything that can be read."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from reported import scored, worst
from written import answers, precision, write_job

from hforch.comparison.decision import Criteria
from hforch.comparison.entries import readable_jobs
from hforch.comparison.table import compare
from hforch.report.export import to_json_text
from hforch.report.page import charts
from hforch.report.page.collect import Page, collect
from hforch.report.page.first_pass import first_pass
from hforch.report.page.write import packed

VALUES: list[Any] = [None, [1, "a"], {"a": 1}, "text", -1, float("nan"), 1e300]


@pytest.fixture(scope="module", autouse=True)
def charts_of_the_same_data_are_made_once() -> Iterator[None]:
    """Cache charts by their data: Altair takes 0.2 s for each, and most values damaged here are not in a chart."""

    def once(make: Callable[..., Any]) -> Callable[..., Any]:
        made: dict[str, Any] = {}

        def remembered(*about: Any) -> Any:
            key = repr(about)
            if key not in made:
                made[key] = make(*about)
            return copy.deepcopy(made[key])

        return remembered

    with pytest.MonkeyPatch.context() as patch:
        for name in ("points", "boxes"):
            patch.setattr(charts, name, once(getattr(charts, name)))
        yield


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("damaged")
    for number, name in enumerate(("fp32", "int8")):
        samples = answers(("one two", [1, 2]), ("three", [3, number]))
        more: dict[str, Any] = scored(number) if number else {}
        write_job(directory / str(number), samples, **precision(name), **more)
    (directory / "1" / "scores.jsonl").write_text(json.dumps(worst(0)) + "\n")
    return directory


def page_of(directory: Path) -> Page:
    """Collect the data of the report as `hforch report` does."""
    entries, unread = readable_jobs([directory])
    entries, seen = first_pass(entries)
    comparison = compare(entries)
    to_json_text(comparison)
    page = collect(comparison, seen, [*(one.problem for one in unread), *seen.missing], None, Criteria(), None)
    assert packed(page.summary) and [packed(part) for part in page.parts()]
    return page


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree[:1]) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def damaged(whole: Any) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Yield copies of a tree with one value replaced or deleted."""
    for path in places(whole):
        for value in [*VALUES, ...]:
            found = copy.deepcopy(whole)
            inner = found
            for key in path[:-1]:
                inner = inner[key]
            if value is ...:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
            yield path, value, found


def test_a_record_with_a_wrong_value_loses_at_most_one_job(sweep: Path) -> None:
    file = sweep / "1" / "record.json"
    text = file.read_text()
    number = left_out = 0
    try:
        for path, value, record in damaged(json.loads(text)):
            file.write_text(json.dumps(record))
            try:
                page = page_of(sweep)
            except Exception as error:
                raise AssertionError(f"{path} as {value!r}") from error
            missing = page.summary["about"]["missing"]
            jobs = len(page.summary["jobs"])
            assert jobs == 2 or (jobs == 1 and missing), (path, value, missing)
            number, left_out = number + 1, left_out + (jobs == 1)
    finally:
        file.write_text(text)
    assert number > 400 and 50 < left_out < number


@pytest.mark.parametrize("name", ["samples.jsonl", "scores.jsonl"])
def test_a_line_with_a_wrong_value_loses_at_most_that_line(sweep: Path, name: str) -> None:
    file = sweep / "1" / name
    text = file.read_text()
    first, *others = text.splitlines(keepends=True)
    told = 0
    try:
        for path, value, line in damaged(json.loads(first)):
            file.write_text(json.dumps(line) + "\n" + "".join(others))
            try:
                page = page_of(sweep)
            except Exception as error:
                raise AssertionError(f"{path} as {value!r}") from error
            told += bool(page.summary["about"]["missing"])
            assert len(page.summary["jobs"]) == 2
            assert "three" in [one.cells[1]["text"] for one in page.inputs if 1 in one.cells]
    finally:
        file.write_text(text)
    assert told > 20


@pytest.mark.parametrize(
    "junk", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"null\n", b"\n\n", b'{"schema_version": true}']
)
@pytest.mark.parametrize("name", ["record.json", "samples.jsonl", "scores.jsonl"])
def test_junk_is_reported_and_the_rest_is_shown(sweep: Path, name: str, junk: bytes) -> None:
    file = sweep / "1" / name
    text = file.read_bytes()
    try:
        file.write_bytes(junk)
        page = page_of(sweep)
    finally:
        file.write_bytes(text)
    assert page.inputs[0].cells[0]["text"] == "one two"
    assert page.summary["about"]["missing"] or name == "scores.jsonl"


def test_an_answer_that_ends_within_a_surrogate_pair_is_shown(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("smile \ud83d", [1])), **precision("fp32"))
    assert page_of(tmp_path).inputs[0].cells[0]["text"] == "smile \ud83d"
