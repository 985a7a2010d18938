"""The lines of samples.jsonl: valid and invalid ones, and JSON files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written import answers, sample, write_job

from hforch.errors import ConfigError
from hforch.records import sample_lines as judge
from hforch.records.record_files import known_record
from hforch.records.sample_lines import Samples
from hforch.utils import datafiles

GOOD = answers(("a", [1]), ("b", [2]), ("c", [3]))


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return write_job(tmp_path / "job", GOOD, job={"runtime": {"repeat": 1}})


def judged(job: Path, *lines: bytes) -> tuple[list[str], Samples]:
    """Append lines to the job's samples, and return the texts of the valid ones."""
    with (job / "samples.jsonl").open("ab") as file:
        file.writelines(lines)
    samples = Samples(job, known_record(job))
    return [one["text"] for one in samples], samples


def line(**changed: Any) -> bytes:
    return json.dumps(GOOD[0] | {"repeat": 0} | changed).encode() + b"\n"


FOREIGN = {
    "one key": (b'{"a": 1}\n', "index is missing"),
    "a number": (b"1\n", "it is not a mapping"),
    "a list": (b"[]\n", "it is not a mapping"),
    "nothing": (b"\n", "it is empty"),
    "NUL": (b"\0\n", "it is not valid JSON"),
    "no UTF-8": (b'{"text": "\xff"}\n', "it is not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf" + line(), "it is not valid JSON"),
    "UTF-16": ('{"a": 1}'.encode("utf-16-le") + b"\n", "it is not valid JSON"),
    "NaN": (line(timings={"ttft_ms": float("nan")}), "NaN is not valid JSON"),
    "1e999": (line().replace(b"10.0", b"1e999"), "1e999 is too large"),
    "a huge integer": (line(index=10**400), "index is out of range"),
    "digits without end": (line().replace(b"10.0", b"1" * 5000), "limit"),
    "deep": (b"[" * 10_000 + b"]" * 10_000 + b"\n", "nested more than"),
    "a deep input": (line(input=json.loads("[" * 200 + "]" * 200)), "nested more than"),
    "a string for a number": (line(index="0"), "index is not an integer"),
    "a boolean for a number": (line(repeat=True), "repeat is not an integer"),
    "below zero": (line(repeat=-1), "repeat is out of range"),
    "invalid token ids": (line(output_ids=[1.5]), "output_ids: contains values that are not 64-bit integers"),
    "no index in a batch": (line(batch={}), "batch.index is missing"),
    "an error without a message": (line(error={"a": 1}), "error.message is missing"),
    "no answer": (line(text=None), "neither an error nor an answer"),
    "the same again": (line(), "it has the same input and repeat as line 1"),
    "another answer": (line(text="z"), "it has the same input and repeat as line 1"),
    "an input of another run": (line(input_id="other"), "input 'other' was not planned"),
    "a repeat of another run": (line(repeat=1), "repeat 1 was not planned"),
    "an input that was not attempted": (
        line(input_id="x", error={"message": "no"}, batch={"index": -1}),
        "input 'x' was not planned",
    ),
}


@pytest.mark.parametrize(("foreign", "told"), FOREIGN.values(), ids=FOREIGN)
def test_an_invalid_line_is_skipped_and_listed(job: Path, foreign: bytes, told: str) -> None:
    texts, samples = judged(job, foreign)
    assert texts == ["a", "b", "c"]
    assert samples.left_out == 1 and told in samples.damaged[4]
    with pytest.raises(ConfigError, match=r"samples\.jsonl:4 is not a sample of this run") as raised:
        samples.refuse()
    assert "--skip-damaged" in str(raised.value)
    assert any("samples.jsonl:4" in one for one in samples.notices())


def test_an_overlong_line_is_not_read_into_memory(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (datafiles, judge):
        monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    texts, samples = judged(job, b"x" * 3_000_000 + b"\n", line(input_id="other"))
    assert texts == ["a", "b", "c"]
    assert list(samples.damaged) == [4, 5] and "MiB" in samples.damaged[4]


def test_an_incomplete_last_line_is_not_damage(job: Path) -> None:
    texts, samples = judged(job, line(repeat=1)[:-1])
    assert texts == ["a", "b", "c"] and samples.is_torn
    samples.refuse()


def test_many_damaged_lines_are_counted_and_the_first_are_listed(job: Path) -> None:
    _, samples = judged(job, *[b"1\n"] * 5000)
    assert samples.left_out == 5000 and len(samples.damaged) < 5000
    with pytest.raises(ConfigError, match=r"has 5000 lines .*: 4 \(.*\), 5 \(.*\), 6 \(.*\), \.\.\."):
        samples.refuse()


def test_inputs_that_were_not_attempted_have_samples_up_to_the_planned_number(tmp_path: Path) -> None:
    unasked = [sample(n, "", None, batch={"index": -1, "size": 0, "place": None}) for n in (3, 4)]
    totals = {"planned": 4, "samples": 4, "failed": 1}
    plan = [[one["input_id"]] for one in GOOD]
    job = write_job(tmp_path / "j", [*GOOD, *unasked], job={"runtime": {"repeat": 1}}, totals=totals, plan=plan)
    texts, samples = judged(job)
    assert texts == ["a", "b", "c", ""] and list(samples.damaged) == [5]


def test_a_lone_surrogate_is_not_damage(job: Path) -> None:
    (job / "samples.jsonl").write_text("")
    texts, samples = judged(job, line(text="a\ud83d"))
    assert texts == ["a\ud83d"] and not samples.left_out


@pytest.mark.parametrize("what", ["a folder", "a FIFO", "a link to a device"])
def test_only_regular_files_are_opened(job: Path, what: str) -> None:
    file = job / "samples.jsonl"
    file.unlink()
    make: dict[str, Callable[[], Any]] = {
        "a folder": file.mkdir,
        "a FIFO": lambda: os.mkfifo(file),
        "a link to a device": lambda: file.symlink_to("/dev/zero"),
    }
    make[what]()
    with pytest.raises(ConfigError, match="not a file"):
        list(Samples(job, {}))


# ---------------------------------------------------------------- JSON files
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b"{}\0", "Extra data"),
        (b"\xff", "not UTF-8"),
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b"[" * 10_000 + b"]" * 10_000, "nested"),
        (b"[" * 101 + b"]" * 101, "nested"),
        (b"[1e999]", "too large"),
        (b"[-Infinity]", "is not valid JSON"),
        (b"1" * 5000, "4300"),
    ],
)
def test_invalid_or_ambiguous_json_is_an_error(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ValueError, match=told):
        datafiles.read_json(tmp_path / "f")


def test_json_within_limits_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"[" * 100 + b"]" * 100)
    assert datafiles.read_json(tmp_path / "f")
    with pytest.raises(ValueError, match="larger than"):
        datafiles.read_json(tmp_path / "f", largest=10)
