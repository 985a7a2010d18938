from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hforch.errors import ModelError
from hforch.models import cache, cache_files

FILL = """
import sys, time
from pathlib import Path
from hforch.models import cache, cache_files
from hforch.utils.progress import Silent
def fill(folder):
    with open(sys.argv[1], "a") as log:
        log.write("filled\\n")
    (folder / "weights.bin").write_bytes(b"x" * 1000)
    time.sleep(float(sys.argv[2]))
    return {"what": "test"}
print(cache.obtain(cache.Key("exports", "one"), fill, Silent()).made)
"""


def start(log: Path, seconds: float, env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", FILL, str(log), str(seconds)], env=env, stdout=-1, text=True)


def wait_for(log: Path) -> None:
    deadline = time.monotonic() + 30
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def test_the_environment_variable_moves_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "elsewhere"))
    assert cache.cache_home() == tmp_path / "elsewhere"
    monkeypatch.delenv("HFORCH_CACHE")
    assert cache.cache_home().name == "hforch"


def test_two_parallel_processes_create_an_entry_once(tmp_path: Path, python_env: dict[str, str]) -> None:
    log = tmp_path / "log"
    processes = [start(log, 0.7, python_env) for _ in range(2)]
    answers = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    assert log.read_text() == "filled\n"
    assert answers == ["False", "True"]


def test_after_a_killed_process_the_next_one_creates_the_entry_and_cleans_up(
    tmp_path: Path, python_env: dict[str, str], listener: Any
) -> None:
    log = tmp_path / "log"
    killed = start(log, 60, python_env)
    wait_for(log)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (left,) = (cache.cache_home() / "exports").iterdir()
    assert [entry.complete for entry in cache.entries()] == [False]
    found = cache.obtain(cache.Key("exports", "one"), lambda folder: {"what": "second"}, listener)
    assert found.made
    assert not left.exists()
    assert [path.name for path in (cache.cache_home() / "exports").iterdir()] == ["one"]


def test_an_entry_records_its_contents_creation_time_and_size(listener: Any) -> None:
    def fill(folder: Path) -> dict[str, Any]:
        (folder / "weights.bin").write_bytes(b"x" * 2_000_000)
        return {"export_s": 1.5}

    path = cache.obtain(cache.Key("exports", "one"), fill, listener).path
    record = json.loads((path / "entry.json").read_text())
    assert record["export_s"] == 1.5
    assert record["files"] == {"weights.bin": 2_000_000}
    (entry,) = cache.entries()
    assert (entry.kind, entry.name, entry.path, entry.complete) == ("exports", "one", path, True)
    assert entry.size_mb == pytest.approx(2.0, abs=0.01)
    assert entry.created.tzinfo is not None


def test_an_entry_with_a_changed_size_is_created_again(listener: Any) -> None:
    def fill(folder: Path) -> dict[str, Any]:
        (folder / "weights.bin").write_bytes(b"xyz")
        return {}

    first = cache.obtain(cache.Key("exports", "one"), fill, listener)
    (first.path / "weights.bin").write_bytes(b"x")
    assert [entry.complete for entry in cache.entries()] == [False]
    assert cache.obtain(cache.Key("exports", "one"), fill, listener).made
    assert not cache.obtain(cache.Key("exports", "one"), fill, listener).made


def test_a_failed_fill_leaves_nothing(listener: Any) -> None:
    def fill(folder: Path) -> dict[str, Any]:
        (folder / "weights.bin").write_bytes(b"xyz")
        raise ModelError("no")

    with pytest.raises(ModelError, match="no"):
        cache.obtain(cache.Key("exports", "one"), fill, listener)
    assert cache.entries() == []


def test_an_entry_does_not_delete_another_with_the_same_prefix(listener: Any) -> None:
    other = cache.cache_home() / "exports" / ".one-two.12345678"
    other.mkdir(parents=True)
    cache.obtain(cache.Key("exports", "one"), lambda folder: {}, listener)
    assert other.exists()


def test_a_cache_path_that_is_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: Any) -> None:
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"Cannot write to the cache.*HFORCH_CACHE"):
        cache.obtain(cache.Key("exports", "one"), lambda folder: {}, listener)


def test_a_full_disk_is_reported_before_and_while_writing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listener: Any
) -> None:
    with pytest.raises(ModelError, match="Not enough disk space to export it: 1,000,000,000,000"):
        cache_files.require_space(tmp_path, 10**18, "export it")

    def fill(folder: Path) -> dict[str, Any]:
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelError, match="No space left"):
        cache.obtain(cache.Key("exports", "one"), fill, listener)


def test_a_cached_text_is_created_once_and_again_if_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path))
    made = []

    def text() -> str:
        made.append(len(made))
        return "first line\r\nsecond\rline \U0001f600\n"

    assert cache.cached_text("a.js", text) == cache.cached_text("a.js", text) == text()
    assert made == [0, 1]
    (file,) = (tmp_path / "texts").iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-5], b"", whole.replace(b"second", b"other!"), b"\xff" + whole):
        file.write_bytes(damaged)
        before = len(made)
        assert cache.cached_text("a.js", text) == cache.cached_text("a.js", text)
        assert len(made) == before + 1
    assert [one.name for one in (tmp_path / "texts").iterdir()] == ["a.js"]
    cache.remove_rest()
    assert not (tmp_path / "texts").exists()


@pytest.mark.parametrize("place", ["a_file", "/proc/nowhere", "~nobody-of-this-name"])
def test_cached_text_works_without_a_writable_cache(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HFORCH_CACHE", place)
    assert cache.cached_text("a.js", lambda: "text") == "text"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "a b", "a\n", "é", "x" * 201, "a\x00"]
)
def test_a_key_must_be_a_plain_file_name(name: str) -> None:
    with pytest.raises(ModelError, match="is not a valid cache entry name"):
        cache.Key("exports", name)
    with pytest.raises(ModelError, match="is not a valid cache entry name"):
        cache.Key("../exports", "one")


def test_only_paths_in_the_cache_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, mine = tmp_path / "cache", tmp_path / "mine"
    for folder in (home / "exports" / "one", mine):
        folder.mkdir(parents=True)
        (folder / "file").write_text("")
    monkeypatch.setenv("HFORCH_CACHE", str(home))
    (home / "link").symlink_to(mine)
    (home / "exports" / "one" / "inside").symlink_to(mine)
    for outside in (mine, home, home / ".." / "mine", home / "link" / "file", home / "exports" / "..", tmp_path):
        with pytest.raises(ModelError, match="is outside the cache"):
            cache_files.remove_tree(outside)
    cache_files.remove_tree(home / "link")
    cache_files.remove_tree(home / "exports" / "one")
    assert (mine / "file").exists()
    assert not (home / "link").is_symlink() and not (home / "exports" / "one").exists()
