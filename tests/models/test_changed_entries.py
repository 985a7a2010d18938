"""Cache entries whose files have changed since they were created."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import hforch

from hforch.commands.verify import damaged_entries
from hforch.models import cache, cache_entry, fingerprint

KEY = cache.Key("exports", "one")
NAMES = ("weights.bin", "sub/other.bin")


def fill(folder: Path) -> dict[str, Any]:
    (folder / "sub").mkdir()
    for name in NAMES:
        (folder / name).write_bytes(name.encode() * 100)
    return {"what": "test", "export_s": 1.5, "bits": {1: "one", 10: "ten", 2: "two"}}


@pytest.fixture
def made(listener: Any) -> Path:
    return cache.obtain(KEY, fill, listener).path


def flip(file: Path) -> None:
    """Change one byte but not the size."""
    data = bytearray(file.read_bytes())
    data[5] ^= 1
    file.write_bytes(data)


@pytest.fixture
def contents_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read in full."""
    seen: list[str] = []
    read = fingerprint.of_content

    def of_content(file: Path) -> str:
        seen.append(file.name)
        return read(file)

    monkeypatch.setattr(fingerprint, "of_content", of_content)
    return seen


@pytest.mark.parametrize("name", [*NAMES, "entry.json"])
def test_an_entry_with_a_changed_byte_is_created_again_with_a_note(name: str, made: Path, listener: Any) -> None:
    whole = (made / name).read_bytes()
    if name == "entry.json":
        (made / name).write_bytes(whole.replace(b"1.5", b"2.5"))
    else:
        flip(made / name)
    assert cache.look_up(KEY) is None
    again = cache.obtain(KEY, fill, listener)
    assert again.made
    assert len(listener.notes) == 1 and f"{name} has changed" in listener.notes[0]
    assert name == "entry.json" or (made / name).read_bytes() == whole
    assert not cache.obtain(KEY, fill, listener).made


def test_an_unchanged_entry_is_not_read(made: Path, listener: Any, contents_read: list[str]) -> None:
    assert not cache.obtain(KEY, fill, listener).made
    assert cache.look_up(KEY)
    assert contents_read == []
    assert listener.stages == []


def test_a_touched_file_is_read_once_and_accepted(made: Path, listener: Any, contents_read: list[str]) -> None:
    os.utime(made / "weights.bin", (1, 1))
    assert not cache.obtain(KEY, fill, listener).made
    assert listener.stages == [("hash", None)]
    assert not cache.obtain(KEY, fill, listener).made
    assert contents_read == ["weights.bin"]
    assert listener.notes == []


def test_a_copied_cache_is_read_once(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Any, contents_read: list[str]
) -> None:
    shutil.copytree(cache.cache_home(), tmp_path / "copy")
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "copy"))
    for _ in range(2):
        assert not cache.obtain(KEY, fill, listener).made
    assert sorted(contents_read) == ["other.bin", "weights.bin"]


def test_an_entry_of_an_earlier_version_gets_digests_at_its_next_use(made: Path, listener: Any) -> None:
    record = json.loads((made / cache_entry.RECORD).read_text())
    old = {name: value for name, value in record.items() if name not in ("digests", "record")}
    (made / cache_entry.RECORD).write_text(json.dumps(old))
    assert not cache.obtain(KEY, fill, listener).made
    assert json.loads((made / cache_entry.RECORD).read_text())["digests"] == record["digests"]
    flip(made / "weights.bin")
    assert cache.obtain(KEY, fill, listener).made


def change_unseen(file: Path) -> None:
    """Change a byte like a failing disk, which keeps the modification time."""
    state = file.stat()
    flip(file)
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_check_finds_a_change_that_kept_the_modification_time(made: Path, listener: Any) -> None:
    change_unseen(made / "weights.bin")
    assert cache.look_up(KEY)
    (found,) = cache.entries()
    assert cache.check(found) == "weights.bin has changed"
    assert cache.look_up(KEY) is None
    (found,) = cache.entries()
    assert (found.complete, found.what) == (False, "damaged: weights.bin has changed")


Damage = Callable[[Path], None]


@pytest.mark.parametrize(
    "damage", [flip, change_unseen, lambda file: file.unlink(), lambda file: file.write_bytes(b"")]
)
def test_doctor_names_damaged_entries(damage: Damage, made: Path, listener: Any) -> None:
    cache.obtain(cache.Key("exports", "two"), fill, listener)
    (cache.cache_home() / "exports" / ".three.12345678").mkdir()
    assert "2 entries checked, none damaged" in hforch("doctor", "--check-cache").stdout
    damage(made / "weights.bin")
    said = hforch("doctor", "--check-cache", code=1).stdout
    assert "exports/one is damaged" in said and "exports/two" not in said
    told = json.loads(hforch("doctor", "--check-cache", "--json", code=1).stdout)
    assert told["checked"] == 2
    assert [one["name"] for one in told["damaged"]] == ["one"]
    hforch("doctor", "--clean", "incomplete")
    assert "1 entry checked, none damaged" in hforch("doctor", "--check-cache").stdout


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '{"files": []}', '{"files": {"weights.bin": 1100}}'])
def test_an_entry_with_a_damaged_record_is_incomplete(text: str, made: Path, listener: Any) -> None:
    (made / cache_entry.RECORD).write_text(text)
    assert cache.look_up(KEY) is None
    assert [one.complete for one in cache.entries()] == [False]
    assert cache.obtain(KEY, fill, listener).made


def test_verify_reads_all_entries_that_the_frozen_run_used(listener: Any) -> None:
    def fill_with(key: str) -> Callable[[Path], dict[str, Any]]:
        return lambda folder: fill(folder) | {"key": key}

    one, two = (
        cache.obtain(cache.Key("exports", name), fill_with(f"key-{name}"), listener).path for name in ("one", "two")
    )
    for path in (one, two):
        change_unseen(path / "weights.bin")
    frozen: Any = SimpleNamespace(model={"export": "key-one", "fingerprint": "0"})
    assert damaged_entries(frozen) == ["exports/one: weights.bin has changed"]
    assert cache.look_up(KEY) is None
    assert cache.look_up(cache.Key("exports", "two")) is None  # a later lookup reads its files in full too
