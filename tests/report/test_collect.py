"""The data of the report: word-level differences, the sample of inputs, and messages about missing data."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import hforch
from hypothesis import given, settings
from hypothesis import strategies as st
from reported import INPUTS, write_reported
from written import answers, precision, sample, write_job

from hforch.comparison.bounds import read_bounds
from hforch.comparison.decision import Criteria
from hforch.comparison.entries import read_jobs, readable_jobs
from hforch.comparison.table import compare
from hforch.comparison.word_diff import alignment, split_words
from hforch.report.page import collect as collecting
from hforch.report.page.charts import charts, front_of
from hforch.report.page.collect import collect, difference
from hforch.report.page.first_pass import first_pass
from hforch.report.page.rerun import of_job, of_sweeps


def data_of(page: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the summary and the parts of a written report."""
    text = page.read_text(encoding="utf-8")
    packed = dict(re.findall(r'<script type="text/plain" id="([\w-]+)">([^<]*)</script>', text))
    found = {name: json.loads(gzip.decompress(base64.b64decode(one))) for name, one in packed.items()}
    return found.pop("summary"), [*found.values()]


def in_javascript(text: str, start: int, length: int) -> str:
    """Return a slice of a text, counted in UTF-16 code units as in JavaScript."""
    return text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * (start + length)].decode("utf-16-le")


# ---------------------------------------------------------------- differences
@settings(deadline=None)
@given(st.text(st.sampled_from("ab .\n日本👩‍é"), max_size=40), st.text(st.sampled_from("ab .\n日本👩‍é"), max_size=40))
def test_a_difference_turns_one_text_into_the_other(base: str, text: str) -> None:
    steps = difference(base, text)
    assert len(steps) % 3 == 0
    again, a, b = "", 0, 0
    for same, gone, new in zip(steps[::3], steps[1::3], steps[2::3], strict=True):
        assert in_javascript(base, a, same) == in_javascript(text, b, same)
        again += in_javascript(base, a, same) + in_javascript(text, b + same, new)
        a, b = a + same + gone, b + same + new
    assert again == text and a == len(base.encode("utf-16-le")) // 2


def test_texts_are_split_into_words() -> None:
    assert split_words("The cat, black.") == ["The ", "cat", ", ", "black", "."]
    assert split_words("東京は big") == ["東", "京", "は", " ", "big"]
    assert [*alignment(split_words("a cat sat"), split_words("a dog sat"))] == [(1, 1, 1), (1, 0, 0)]
    assert [*alignment([], [])] == []


def test_very_long_texts_are_only_compared_at_their_ends() -> None:
    one = ["start", *(f"a{n}" for n in range(6000)), "end"]
    other = ["start", *(f"b{n}" for n in range(6000)), "end"]
    assert [*alignment(one, other)] == [(1, 6000, 6000), (1, 0, 0)]


# ---------------------------------------------------------------- inputs
def test_many_inputs_are_sampled_and_failed_ones_included(tmp_path: Path) -> None:
    for number, name in enumerate(("fp32", "int8")):
        samples = [sample(index, f"text {index}", [index, number]) for index in range(400)]
        samples[13] = sample(13, "", None) | {"text": None}
        write_job(tmp_path / str(number), samples, **precision(name))
    hforch("report", str(tmp_path), "--inputs", "50")
    summary, parts = data_of(tmp_path / "report.html")
    rows = [row for part in parts for row in part["inputs"]]
    assert 25 < len(rows) < 90 and summary["rows"] == {"shown": len(rows), "of": 400, "failed": 1}
    assert 13 in [index for index, _, _ in rows] and rows == sorted(rows, key=lambda row: row[0])
    assert all(None not in cells for _, _, cells in rows)  # the same inputs for each job


def test_the_size_of_answers_limits_the_number_of_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(("fp32", "int8")):
        write_job(tmp_path / str(number), answers(*[("word " * 200, [1])] * 100), **precision(name))
    monkeypatch.setattr(collecting, "MOST_BYTES", 40_000)
    entries, seen = first_pass(read_jobs([tmp_path]))
    page = collect(compare(entries), seen, [], None, Criteria(), None)
    assert 0 < page.summary["rows"]["shown"] < 50 and page.summary["rows"]["of"] == 100


def test_a_huge_text_is_truncated_and_its_length_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_job(tmp_path / "0", answers(("word " * 100, [1])), **precision("fp32"))
    monkeypatch.setattr(collecting, "LONGEST", 50)
    entries, seen = first_pass(read_jobs([tmp_path]))
    cell = collect(compare(entries), seen, [], None, Criteria(), None).inputs[0].cells[0]
    assert len(cell["text"]) == 50 and cell["cut"] == 500


def test_answers_are_grouped_by_input_without_repeats(tmp_path: Path) -> None:
    one = [sample(0, "a", [1]), sample(1, "b", [2]), sample(0, "again", [1], repeat=1)]
    write_job(tmp_path / "0", one, **precision("fp32"))
    write_job(tmp_path / "1", [sample(1, "B", [3])], **precision("int8"))
    entries, seen = first_pass(read_jobs([tmp_path]))
    page = collect(compare(entries), seen, [], None, Criteria(), None)
    assert [sorted(one.cells) for one in page.inputs] == [[0], [0, 1]]
    (part,) = page.parts()
    texts = [[cell and part["strings"][cell["text"]] for cell in cells] for _, _, cells in part["inputs"]]
    assert texts == [["a", None], ["b", "B"]]


# ---------------------------------------------------------------- missing data
def test_damaged_lines_are_reported_and_the_others_shown(tmp_path: Path) -> None:
    directory = write_reported(tmp_path / "sweep")
    file = directory / "1" / "samples.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    lines[3] = "{ torn\n"
    lines[5] = '{"index": 5, "input_id": 7}\n'
    lines[-1] = lines[-1][:40]
    file.write_text("".join(lines))
    (directory / "2" / "samples.jsonl").unlink()
    hforch("report", str(directory), "--skip-damaged")
    done = hforch("report", str(directory), code=1)
    summary, parts = data_of(directory / "report.html")
    told = "\n".join(summary["about"]["missing"])
    assert f"job 1: skipped: {file} has 2 lines that are not samples of this run: 4 (it is not valid JSON), 6 (" in told
    assert f"job 1: skipped: the last line of {file} is incomplete" in told and "job 2 has no samples" in told
    assert "skipped: job 2 has no samples" in done.stderr
    cells = [cells for part in parts for _, _, cells in part["inputs"]]
    assert sum(row[1] is not None for row in cells) == INPUTS - 3
    assert all(row[0] is not None and row[2] is None for row in cells)


def test_unreadable_records_are_reported_and_the_others_shown(tmp_path: Path) -> None:
    directory = write_reported(tmp_path / "sweep")
    record = json.loads((directory / "1" / "record.json").read_text())
    (directory / "1" / "record.json").write_text(json.dumps(record | {"schema_version": 99}))
    (directory / "2" / "record.json").write_text("{")
    done = hforch("report", str(directory), str(tmp_path / "gone"), "-o", str(tmp_path / "page.html"), code=1)
    summary, _ = data_of(tmp_path / "page.html")
    assert [job["metrics"]["tokens_per_s"] for job in summary["jobs"]] == [20.0]
    told = "\n".join(summary["about"]["missing"])
    assert "has schema version 99" in told
    assert "directory not found" in told and len(summary["about"]["missing"]) == 3
    assert done.stderr.count("skipped: ") == 3


def test_jobs_that_were_not_run_are_rows_without_metrics(tmp_path: Path) -> None:
    hforch("-m", "backend=fake", "inputs=facts", "runtime.seed=1,2", f"hydra.sweep.dir={tmp_path}")
    shutil.rmtree(tmp_path / "1")
    hforch("report", str(tmp_path))
    summary, parts = data_of(tmp_path / "report.html")
    assert [job["why"] for job in summary["jobs"]] == [None, "the job was not run"]
    assert "hforch resume" in summary["about"]["notes"][0] and len(parts[0]["inputs"]) == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{empty}",), "no records found in"),
        (("{gone}",), "directory not found"),
        (("{sweep}", "--require", "speed>3", "--optimize", "nice", "--inputs", "0"), "3 errors"),
        (("{sweep}", "--baseline", "precision=fp16"), "no job has precision=fp16"),
        (("{sweep}", "--inputs", "many"), "invalid int value: 'many'"),
        ((), "required: DIR"),
    ],
)
def test_wrong_usage_is_reported_and_nothing_is_written(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    names = {name: tmp_path / name for name in ("empty", "gone", "sweep")}
    names["empty"].mkdir()
    write_reported(names["sweep"])
    done = hforch("report", *(word.format(**names) for word in words), code=2)
    assert said in done.stderr
    assert not [*tmp_path.rglob("*.html*")]


def test_an_unwritable_target_is_reported(tmp_path: Path) -> None:
    write_reported(tmp_path / "sweep")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for target in ("file/page.html", "folder"):
        done = hforch("report", str(tmp_path / "sweep"), "-o", str(tmp_path / target), code=1)
        assert "cannot write" in done.stderr
    assert [*(tmp_path / "folder").iterdir()] == [] and not [*tmp_path.glob(".*")]


def test_an_unmet_requirement_gives_exit_code_3_and_is_in_the_report(tmp_path: Path) -> None:
    directory = write_reported(tmp_path / "sweep")
    hforch("report", str(directory), "--require", "tokens_per_s>1000", code=3)
    assert (
        "no job meets tokens_per_s>1000; the closest is job 1"
        in data_of(directory / "report.html")[0]["about"]["reason"]
    )


# ---------------------------------------------------------------- run again
def test_the_command_and_recipe_of_a_job_give_the_same_job(tmp_path: Path) -> None:
    words = ("backend=fake", "inputs=facts", "generation=sample", "runtime.seed=1,2", "prompt=step_by_step,question")
    hforch("-m", *words, f"hydra.sweep.dir={tmp_path / 'sweep'}", "--report")
    entries = read_jobs([tmp_path / "sweep"])
    (sweep,) = of_sweeps(entries)
    assert sweep["command"] == f"hforch -m {' '.join(words)}"
    again = of_job(entries[2])
    hforch(*again["command"].split()[1:], f"hydra.run.dir={tmp_path / 'again'}")
    (tmp_path / "recipe.yaml").write_text(again["recipe"])
    hforch("run", str(tmp_path / "recipe.yaml"), f"hydra.run.dir={tmp_path / 'recipe'}")
    ids = {read_jobs([tmp_path / name])[0].record["job_id"] for name in ("again", "recipe")}
    assert ids == {entries[2].record["job_id"]}


def test_the_command_of_a_scored_job_omits_the_baseline(tmp_path: Path) -> None:
    from hforch.config.compose import job_from_overrides

    words = ["scoring=both", "precision=int8", "backend=openvino"]
    job = job_from_overrides(words).model_dump(mode="json")
    write_job(tmp_path / "0", answers(("a", [1])), overrides=words, job=job)
    again = of_job(read_jobs([tmp_path / "0"])[0])
    assert again["command"] == "hforch precision=int8 backend=openvino scoring=text"
    assert "- scoring: text" in again["recipe"] and "run the entire sweep" in again["note"]


# ---------------------------------------------------------------- Pareto front
def test_the_front_contains_the_points_that_no_other_point_beats() -> None:
    assert front_of([(1, 3), (2, 2), (3, 1), (1, 1), (2, 2)]) == [0, 1, 2, 4]


BEATEN = "(qualified jobs that no other job is confirmed to beat in speed, memory and quality)"


def test_the_caption_names_the_jobs_that_are_not_shown_to_be_dominated(tmp_path: Path) -> None:
    comparison = compare(read_jobs([write_reported(tmp_path)]))
    for chart in charts(comparison)[:2]:
        assert f"{BEATEN}: jobs 0, 1, 2." in chart["says"]
    decision = Criteria(read_bounds(["exact_match>=0.5"])).decide(comparison)
    assert decision is not None and [row.entry.name for row in decision.pareto] == ["0", "1"]
    for chart in charts(comparison, decision=decision)[:2]:
        assert f"{BEATEN}: jobs 0, 1." in chart["says"]


def test_readable_jobs_returns_jobs_and_errors(tmp_path: Path) -> None:
    write_reported(tmp_path / "sweep")
    found, mistakes = readable_jobs([tmp_path / "gone", tmp_path / "sweep"])
    assert len(found) == 3 and [one.problem for one in mistakes] == [f"directory not found: {tmp_path / 'gone'}"]


def test_interrupted_samples_and_jobs_are_not_failures(tmp_path: Path) -> None:
    stopped = {"error": {"type": "KeyboardInterrupt", "message": "interrupted"}}
    broken = sample(1, "", None)
    write_job(tmp_path / "0", [sample(0, "a", [1]), broken, sample(2, "", None, **stopped)], status="interrupted")
    entries, seen = first_pass(read_jobs([tmp_path]))
    page = collect(compare(entries), seen, [], None, Criteria(), None)
    about = page.summary["about"]
    assert (about["failures"], about["interrupted"], about["unfinished"], about["interrupted_jobs"]) == (1, 1, 0, 1)
    assert compare(entries).rows[0].metrics["failed"] == 1
    cells = [one.cells[0] for one in page.inputs]
    assert [(bool(cell.get("error")), cell.get("interrupted", False)) for cell in cells] == [
        (False, False),
        (True, False),
        (True, True),
    ]
