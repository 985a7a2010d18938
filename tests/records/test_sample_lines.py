"""The lines of samples.jsonl: which are samples of their run, and what is said of the others."""

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
    """The texts that are read of the job's samples with these lines after them."""
    with (job / "samples.jsonl").open("ab") as file:
        file.writelines(lines)
    samples = Samples(job, known_record(job))
    return [one["text"] for one in samples], samples


def line(**changed: Any) -> bytes:
    return json.dumps(GOOD[0] | {"repeat": 0} | changed).encode() + b"\n"


FOREIGN = {
    "one key": (b'{"a": 1}\n', "it has no index"),
    "a number": (b"1\n", "it holds no mapping"),
    "a list": (b"[]\n", "it holds no mapping"),
    "nothing": (b"\n", "it is empty"),
    "NUL": (b"\0\n", "it is not JSON"),
    "no UTF-8": (b'{"text": "\xff"}\n', "it is not UTF-8"),
    "a byte order mark": (b"\xef\xbb\xbf" + line(), "it is not JSON"),
    "UTF-16": ('{"a": 1}'.encode("utf-16-le") + b"\n", "it is not JSON"),
    "NaN": (line(timings={"ttft_ms": float("nan")}), "NaN is not valid JSON"),
    "1e999": (line().replace(b"10.0", b"1e999"), "1e999 is too large"),
    "a huge integer": (line(index=10**400), "its index is out of range"),
    "digits without end": (line().replace(b"10.0", b"1" * 5000), "limit"),
    "deep": (b"[" * 10_000 + b"]" * 10_000 + b"\n", "nested more than"),
    "a deep input": (line(input=json.loads("[" * 200 + "]" * 200)), "nested more than"),
    "a text for a number": (line(index="0"), "its index is not a whole number"),
    "a boolean for a number": (line(repeat=True), "its repeat is not a whole number"),
    "below zero": (line(repeat=-1), "its repeat is out of range"),
    "ids that are none": (line(output_ids=[1.5]), "its output_ids: it has others than whole numbers of 64 bits"),
    "no place in a batch": (line(batch={}), "its batch has no index"),
    "an error without words": (line(error={"a": 1}), "its error has no message"),
    "no answer": (line(text=None), "neither an error nor an answer"),
    "the same again": (line(), "line 1 has this input and repeat already"),
    "another answer": (line(text="z"), "line 1 has this input and repeat already"),
    "an input of another run": (line(input_id="other"), "the input 'other' was not planned"),
    "a repeat of another run": (line(repeat=1), "repeat 1 was not planned"),
    "an input that nobody could ask": (
        line(input_id="x", error={"message": "no"}, batch={"index": -1}),
        "the input 'x' was not planned",
    ),
}


@pytest.mark.parametrize(("foreign", "told"), FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_line_is_left_out_and_named(job: Path, foreign: bytes, told: str) -> None:
    texts, samples = judged(job, foreign)
    assert texts == ["a", "b", "c"]
    assert samples.left_out == 1 and told in samples.damaged[4]
    with pytest.raises(ConfigError, match=r"samples\.jsonl:4 is no sample of this run") as raised:
        samples.refuse()
    assert "--skip-damaged" in str(raised.value)
    assert any("samples.jsonl:4" in one for one in samples.notices())


def test_a_line_beyond_all_bounds_is_not_read_into_memory(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (datafiles, judge):
        monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    texts, samples = judged(job, b"x" * 3_000_000 + b"\n", line(input_id="other"))
    assert texts == ["a", "b", "c"]
    assert list(samples.damaged) == [4, 5] and "MiB" in samples.damaged[4]


def test_a_torn_last_line_is_no_damage(job: Path) -> None:
    texts, samples = judged(job, line(repeat=1)[:-1])
    assert texts == ["a", "b", "c"] and samples.is_torn
    samples.refuse()


def test_many_damaged_lines_are_counted_and_the_first_named(job: Path) -> None:
    _, samples = judged(job, *[b"1\n"] * 5000)
    assert samples.left_out == 5000 and len(samples.damaged) < 5000
    with pytest.raises(ConfigError, match=r"has 5000 lines .*: 4 \(.*\), 5 \(.*\), 6 \(.*\), \.\.\."):
        samples.refuse()


def test_inputs_that_could_not_be_asked_are_samples_as_far_as_the_record_counts_them(tmp_path: Path) -> None:
    unasked = [sample(n, "", None, batch={"index": -1, "size": 0, "place": None}) for n in (3, 4)]
    totals = {"planned": 4, "samples": 4, "failed": 1}
    plan = [[one["input_id"]] for one in GOOD]
    job = write_job(tmp_path / "j", [*GOOD, *unasked], job={"runtime": {"repeat": 1}}, totals=totals, plan=plan)
    texts, samples = judged(job)
    assert texts == ["a", "b", "c", ""] and list(samples.damaged) == [5]


def test_half_a_surrogate_is_no_damage(job: Path) -> None:
    (job / "samples.jsonl").write_text("")
    texts, samples = judged(job, line(text="a\ud83d"))
    assert texts == ["a\ud83d"] and not samples.left_out


@pytest.mark.parametrize("what", ["a folder", "a FIFO", "a link to a device"])
def test_what_is_no_file_is_not_opened(job: Path, what: str) -> None:
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
def test_json_that_is_none_or_has_no_one_meaning_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ValueError, match=told):
        datafiles.read_json(tmp_path / "f")


def test_json_within_bounds_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"[" * 100 + b"]" * 100)
    assert datafiles.read_json(tmp_path / "f")
    with pytest.raises(ValueError, match="larger than"):
        datafiles.read_json(tmp_path / "f", largest=10)
