from __future__ import annotations

import json
from pathlib import Path

import pytest

from hforch.runs.records import RecordWriter, read_record, read_samples, to_json


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.add({"index": 0, "text": "naïve 中文 🙂"})
        writer.add({"index": 1, "text": "b"})
    path = tmp_path / "samples.jsonl"
    whole = path.read_bytes()
    for cut in range(len(whole) - 1, len(whole) - 15, -1):
        path.write_bytes(whole[:cut])
        assert [sample["index"] for sample in read_samples(tmp_path)] == [0]


def test_each_line_is_there_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        for index in range(3):
            writer.add({"index": index})
            assert len(list(read_samples(tmp_path))) == index + 1


def test_a_record_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.write({"status": "partial"})

        def broken(self: Path, target: Path) -> Path:
            raise OSError("no space left on device")

        monkeypatch.setattr(Path, "replace", broken)
        with pytest.raises(OSError, match="no space"):
            writer.write({"status": "ok"})
    assert read_record(tmp_path)["status"] == "partial"


def test_half_a_surrogate_that_a_model_made_can_be_written(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.add({"text": "a\ud800b"})
    assert json.loads((tmp_path / "samples.jsonl").read_text(encoding="utf-8"))["text"] == "a\ud800b"


def test_a_number_that_json_lacks_becomes_null_and_the_rest_stays() -> None:
    assert json.loads(to_json({"a": [1.5, float("nan")], "b": float("inf")})) == {"a": [1.5, None], "b": None}


def test_what_merely_looks_like_a_token_in_the_environment_spoils_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "1")
    assert json.loads(to_json({"schema_version": 1, "text": "1 and 1"})) == {"schema_version": 1, "text": "1 and 1"}


def test_a_job_without_samples_has_none(tmp_path: Path) -> None:
    assert list(read_samples(tmp_path)) == []
