from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from written import sample

from hforch.errors import HforchError
from hforch.records import directory_lock
from hforch.records.directory_lock import OWNER, locked
from hforch.records.record import Record
from hforch.records.record_files import read_record, read_samples
from hforch.records.record_writer import RecordWriter
from hforch.records.sample import Sample
from hforch.records.sample_lines import SAMPLES
from hforch.runs.sampling import error_of
from hforch.utils.json_text import to_json


def test_an_incomplete_last_line_is_skipped(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.add(Sample(**sample(0, "naïve 中文 🙂", [1])))
        writer.add(Sample(**sample(1, "b", [1])))
    path = tmp_path / "samples.jsonl"
    whole = path.read_bytes()
    for cut in range(len(whole) - 1, len(whole) - 15, -1):
        path.write_bytes(whole[:cut])
        assert [one["index"] for one in read_samples(tmp_path)] == [0]


def test_each_sample_can_be_read_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        for index in range(3):
            writer.add(Sample(**sample(index, "a", [1])))
            assert len(list(read_samples(tmp_path))) == index + 1


def test_a_record_is_replaced_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.write(Record(status="partial"))

        def broken(self: Path, target: Path) -> Path:
            raise OSError("no space left on device")

        monkeypatch.setattr(Path, "replace", broken)
        with pytest.raises(OSError, match="no space"):
            writer.write(Record(status="ok"))
    assert read_record(tmp_path)["status"] == "partial"


def test_a_lone_surrogate_in_an_answer_can_be_written(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.add(Sample(**sample(0, "a\ud800b", [1])))
    assert json.loads((tmp_path / "samples.jsonl").read_text(encoding="utf-8"))["text"] == "a\ud800b"


def test_non_finite_numbers_are_written_as_null() -> None:
    assert json.loads(to_json({"a": [1.5, float("nan")], "b": float("inf")})) == {"a": [1.5, None], "b": None}


def test_a_short_hub_token_in_the_environment_is_not_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "1")
    assert json.loads(to_json({"schema_version": 1, "text": "1 and 1"})) == {"schema_version": 1, "text": "1 and 1"}


def test_a_directory_without_samples_yields_none(tmp_path: Path) -> None:
    assert list(read_samples(tmp_path)) == []


def test_samples_of_another_run_are_not_overwritten(tmp_path: Path) -> None:
    with RecordWriter(tmp_path, anew=True, fresh=True) as writer:
        writer.add(Sample(**sample(0, "a", [1])))
    before = (tmp_path / SAMPLES).read_bytes()
    with pytest.raises(HforchError, match="has written its samples"):
        RecordWriter(tmp_path, anew=True, fresh=True)
    assert (tmp_path / SAMPLES).read_bytes() == before
    RecordWriter(tmp_path, anew=True).__exit__()  # the lock was released


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("hforch.records.directory_lock.lock_descriptor", refuse)
    monkeypatch.setattr(directory_lock, "PATIENCE_S", 0.3)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_file_identifies_the_writer(tmp_path: Path) -> None:
    with locked(tmp_path):
        who = json.loads((tmp_path / OWNER).read_text())
        assert who["pid"] == os.getpid()
        with locked(tmp_path), ThreadPoolExecutor(1) as pool:  # again in this thread, but not in another
            told = rf"another run is writing.*pid.*{os.getpid()}"
            with pytest.raises(HforchError, match=told):
                pool.submit(locked(tmp_path).__enter__).result()
        assert (tmp_path / OWNER).exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_locks")
@pytest.mark.parametrize(
    ("who", "is_taken_over"),
    [
        ({"pid": 2**22 - 7, "started": 1.0}, True),  # no such process
        ({"started": 1.0}, True),  # another process has this id now
        ({}, False),
        ({"host": "elsewhere", "pid": 2**22 - 7, "started": 1.0}, False),  # unknown, since it is on another machine
        ("", False),  # it is being written
    ],
)
def test_only_the_file_of_an_ended_process_is_taken_over(tmp_path: Path, who: Any, is_taken_over: bool) -> None:
    with locked(tmp_path):
        own = json.loads((tmp_path / OWNER).read_text())
    (tmp_path / OWNER).write_text(json.dumps(own | who) if who != "" else "")
    with ExitStack() as stack:
        if not is_taken_over:
            stack.enter_context(pytest.raises(HforchError, match="another run is writing"))
        stack.enter_context(locked(tmp_path))
    assert (tmp_path / OWNER).exists() != is_taken_over


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory; free memory, or use a smaller model, precision or batch size"),
        (KeyboardInterrupt(), "interrupted"),
        (IndexError(), "IndexError"),
        (ValueError("no"), "no"),
    ],
)
def test_an_error_without_a_message_is_described_by_its_type(error: BaseException, said: str) -> None:
    assert error_of(error).message == said
