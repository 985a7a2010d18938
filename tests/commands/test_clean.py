"""hforch doctor --clean: it removes the selected entries and no others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from hforch.cli import main
from hforch.models.cache import REST, Key, cache_home, entries, obtain
from hforch.utils.progress import Silent

NAMES = {"wheels": ["w-1"], "checkpoints": ["gguf-1"], "exports": ["int8-aa", "int8-ab", "int4-cc"]}


@pytest.fixture(autouse=True)
def a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with an entry of each name and an incomplete one."""
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))

    def contents(folder: Path) -> dict[str, Any]:
        (folder / "weights.bin").write_bytes(bytes(2_000_000))
        return {"what": "a model"}

    for kind, names in NAMES.items():
        for name in names:
            obtain(Key(kind, name), contents, Silent())
    (cache_home() / "exports/.int4-dd.01234567").mkdir()
    for name in REST:
        (cache_home() / name).mkdir(exist_ok=True)
    return cache_home()


def left() -> set[str]:
    return {entry.name for entry in entries()}


ALL = {"w-1", "gguf-1", "int8-aa", "int8-ab", "int4-cc", ".int4-dd.01234567"}


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        (["int8-aa"], {"int8-aa"}),
        (["int4-c"], {"int4-cc"}),
        (["int8-*"], {"int8-aa", "int8-ab"}),
        (["wheels", "gguf-1"], {"w-1", "gguf-1"}),
        (["incomplete"], {".int4-dd.01234567"}),
        (["exports"], {"int8-aa", "int8-ab", "int4-cc", ".int4-dd.01234567"}),
        (["all"], ALL),
    ],
)
def test_only_selected_entries_are_removed(
    words: list[str], gone: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--clean", *words, "--dry-run"]) == 0
    assert left() == ALL
    assert capsys.readouterr().out.count("would remove") == len(gone)
    assert main(["doctor", "--clean", *words]) == 0
    assert left() == ALL - gone
    said = capsys.readouterr().out
    assert said.count("removed ") == len(gone)
    assert f"{2 * len(gone - {'.int4-dd.01234567'}):,}" in said
    assert {(cache_home() / name).exists() for name in REST} == {words != ["all"]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--clean requires an argument"),
        (["int8-aa", "exprts"], "did you mean exports?"),
        (["int8-a"], "2 entries start with 'int8-a': "),
        (["../exports"], "no matching entry in the cache"),
        (["nothing-*"], "no matching entry in the cache"),
        ([""], "no matching entry in the cache"),
    ],
)
def test_an_argument_without_a_match_removes_nothing(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--clean", *words]) == 2
    assert said in capsys.readouterr().err
    assert left() == ALL


def test_an_entry_under_construction_is_not_removed(capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(cache_home() / "locks/exports-int8-aa.lock"):
        assert main(["doctor", "--clean", "int8-*"]) == 1
    assert left() == ALL - {"int8-ab"}
    assert "exports/int8-aa was not removed: another process is creating it" in capsys.readouterr().err


def test_a_link_is_removed_and_its_target_stays(tmp_path: Path) -> None:
    elsewhere = (cache_home() / "exports/int8-aa").rename(tmp_path / "elsewhere")
    (cache_home() / "exports/int8-aa").symlink_to(elsewhere)
    assert main(["doctor", "--clean", "int8-aa"]) == 0
    assert "int8-aa" not in left()
    assert (elsewhere / "weights.bin").exists()


def test_a_failed_removal_is_reported_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if self.name == "int8-aa":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    assert main(["doctor", "--clean", "int8-*"]) == 1
    assert "exports/int8-aa was not removed: permission denied" in capsys.readouterr().err
    assert left() == ALL - {"int8-ab"}


def test_only_entries_older_than_a_number_of_days_are_removed(capsys: pytest.CaptureFixture[str]) -> None:
    record = cache_home() / "exports/int8-aa/entry.json"
    old = json.loads(record.read_text()) | {"created": (datetime.now(UTC) - timedelta(days=40)).isoformat()}
    del old["digests"]  # as in earlier versions; otherwise the entry would count as damaged
    record.write_text(json.dumps(old))
    assert main(["doctor", "--clean", "all", "--older-than", "30", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in told["removed"]] == ["int8-aa"]
    assert told["freed_mb"] == pytest.approx(2.0, abs=0.01)
    assert left() == ALL - {"int8-aa"}
    assert main(["doctor", "--older-than", "30"]) == 2


def test_an_interrupted_clean_leaves_an_incomplete_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    assert main(["doctor", "--clean", "int8-aa"]) == 130
    assert "int8-aa" not in left()
    assert [entry.complete for entry in entries() if entry.name.startswith(".int8-aa.")] == [False]


@pytest.mark.parametrize("flag", ["--jsn", "--dry-rn"])
def test_an_unknown_flag_gives_the_closest_name(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", flag]) == 2
    assert "did you mean --" in capsys.readouterr().err
