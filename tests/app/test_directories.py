"""Directories with earlier runs: what is refused, what --force deletes, and damaged records."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import hforch, start
from finished import copy_of_sweep

from hforch.records.record_files import read_record, read_samples

FAKE = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "runtime.batch_size=1")


def run(directory: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return hforch(*FAKE, f"hydra.run.dir={directory}", *words, code=code)


def sweep(directory: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return hforch("-m", *FAKE, f"hydra.sweep.dir={directory}", *words, code=code)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(one.relative_to(directory)): one.read_bytes() for one in directory.rglob("*") if one.is_file()}


# ---------------------------------------------------------------- earlier runs
def test_a_directory_with_an_earlier_run_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "r")
    sweep(tmp_path / "s", "generation.max_new_tokens=1,2")
    before = contents(tmp_path)
    for refused in (
        run(tmp_path / "r", code=2),
        sweep(tmp_path / "r", "generation.max_new_tokens=1,2", code=2),
        run(tmp_path / "s", code=2),
        run(tmp_path / "s" / "1", code=2),
        run(tmp_path / "s" / "new", code=2),
        sweep(tmp_path / "s", "generation.max_new_tokens=3", code=2),
        sweep(tmp_path / "s", "generation.max_new_tokens=3", "--dry-run", code=2),
        sweep(tmp_path / "s", "generation.max_new_tokens=3,4", "hydra/launcher=joblib", code=2),
    ):
        assert "hydra.run.dir" in refused.stderr or "hydra.sweep.dir" in refused.stderr
        assert "another directory" in refused.stderr or "outside it" in refused.stderr
    assert contents(tmp_path) == before


def test_force_deletes_the_earlier_run_and_no_other_files(tmp_path: Path) -> None:
    sweep(tmp_path, "generation.max_new_tokens=1,2,3")
    (tmp_path / "2" / "notes.txt").write_text("mine")
    sweep(tmp_path, "generation.max_new_tokens=4,5", "--force")
    assert [one.parent.name for one in sorted(tmp_path.glob("*/record.json"))] == ["0", "1"]
    assert (tmp_path / "2" / "notes.txt").read_text() == "mine"
    (tmp_path / "1" / "record.json").unlink()  # the samples remain
    sweep(tmp_path, "generation.max_new_tokens=4,5", "--force")
    run(tmp_path, "--force")
    assert read_record(tmp_path)["status"] == "ok"
    assert not (tmp_path / "sweep.json").exists()
    assert not (tmp_path / "0").exists()


@pytest.mark.parametrize("kind", ["run", "sweep"])
@pytest.mark.parametrize("later_s", [0, 0.5])
def test_one_of_two_concurrent_runs_in_a_directory_is_refused(tmp_path: Path, kind: str, later_s: float) -> None:
    words = [*FAKE, "backend.token_s=0.02", "generation.max_new_tokens=8", f"hydra.{kind}.dir={tmp_path}"]
    words += ["-m", "runtime.repeat=1,2"] if kind == "sweep" else []
    first = start(*words, "runtime.seed=1")
    time.sleep(later_s)
    second = start(*words, "runtime.seed=2")
    ended = [(one.communicate(timeout=120), one.returncode) for one in (first, second)]
    codes = [code for _, code in ended]
    assert sorted(codes)[0] == 0 and sorted(codes)[1] in (1, 2), ended
    said = ended[codes.index(max(codes))][0][1]
    assert str(tmp_path) in said and "Traceback" not in said
    for record in tmp_path.rglob("record.json"):
        found = read_record(record.parent)
        assert found["status"] == "ok" and found["job"]["runtime"]["seed"] == codes.index(0) + 1
        keys = [(one["input_id"], one["repeat"]) for one in read_samples(record.parent)]
        assert len(keys) == len(set(keys)) == found["totals"]["samples"]
        config = (record.parent / ".hydra" / "overrides.yaml").read_text()
        assert f"runtime.seed={codes.index(0) + 1}" in config


def test_a_run_that_failed_without_samples_can_be_overwritten(tmp_path: Path) -> None:
    run(tmp_path, "backend.fail_on='!load'", "model=local", f"model.path={tmp_path}/none", "backend=pytorch", code=2)
    run(tmp_path)
    assert read_record(tmp_path)["status"] == "ok"


def test_a_verification_does_not_overwrite_a_run(tmp_path: Path) -> None:
    run(tmp_path / "r")
    hforch("freeze", str(tmp_path / "r"), "-o", str(tmp_path / "w.yaml"))
    before = contents(tmp_path)
    refused = hforch("verify", str(tmp_path / "w.yaml"), "--output", str(tmp_path / "r"), code=2)
    assert "--output" in refused.stderr
    assert contents(tmp_path) == before
    refused = hforch("verify", str(tmp_path / "w.yaml"), "runtime.seed=1,2", code=2)
    assert "pass a single value" in refused.stderr


# ---------------------------------------------------------------- damage found by resume
def change(file: Path, **parts: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


def test_a_job_with_truncated_samples_is_resumed(tmp_path: Path) -> None:
    sweep(tmp_path, "generation.max_new_tokens=1,2,3")
    torn = tmp_path / "0" / "samples.jsonl"
    lines = torn.read_text().splitlines(keepends=True)
    torn.write_text("".join(lines[:-1]) + lines[-1][:20])
    (tmp_path / "1" / "samples.jsonl").unlink()
    broken = tmp_path / "2" / "samples.jsonl"
    middle = broken.read_text().splitlines(keepends=True)
    broken.write_text(middle[0] + '{"index": 1, "inp\n' + "".join(middle[2:]))
    before = contents(tmp_path)
    for words in ([], ["--dry-run"]):
        refused = hforch("resume", str(tmp_path), *words, code=2).stderr
        assert (
            f"{broken}:2 is not a sample of this run: it is not valid JSON" in refused and "--skip-damaged" in refused
        )
    assert contents(tmp_path) == before
    assert "samples done" in hforch("resume", str(tmp_path), "--skip-damaged", "--dry-run").stdout
    hforch("resume", str(tmp_path), "--skip-damaged")
    for name in "012":
        ids = [one["input_id"] for one in read_samples(tmp_path / name)]
        assert len(ids) == len(set(ids)) == len(lines)
        assert read_record(tmp_path / name)["resumed"] == 1


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("0/record.json", '{"schema_version": 99}', "upgrade hforch"),
        ("0/record.json", "[1]", "not an hforch record"),
        ("0/record.json", "{}", "not an hforch record"),
        ("0/record.json", '{"schema_version": 1}', "status is missing"),
        ("sweep.json", '{"schema_version": 1}', "asked is missing"),
        ("sweep.json", '{"schema_version": 1, "asked": {"overrides": []}, "jobs": [{}]}', "not a valid sweep file"),
    ],
)
def test_a_damaged_record_is_reported_and_nothing_is_changed(tmp_path: Path, name: str, text: str, told: str) -> None:
    copy_of_sweep(tmp_path, *FAKE, "generation.max_new_tokens=1,2")
    (tmp_path / name).write_text(text)
    before = contents(tmp_path)
    assert told in hforch("resume", str(tmp_path), code=2).stderr
    assert contents(tmp_path) == before


def test_a_damaged_record_of_a_run_is_reported(tmp_path: Path) -> None:
    run(tmp_path)
    change(tmp_path / "record.json", overrides="x")
    assert "record.json is not a valid record: overrides" in hforch("resume", str(tmp_path), code=2).stderr
    change(tmp_path / "record.json", overrides=None)
    assert "does not contain the command line" in hforch("resume", str(tmp_path), code=2).stderr


@pytest.mark.parametrize("directory", ["../outside", "/", "", ".", "a\0b", "x" * 300])
def test_job_directories_outside_the_sweep_are_refused(tmp_path: Path, directory: str) -> None:
    copy_of_sweep(tmp_path / "s", *FAKE, "generation.max_new_tokens=1,2")
    file = tmp_path / "s" / "sweep.json"
    whole = json.loads(file.read_text())
    whole["jobs"][0]["directory"] = directory
    file.write_text(json.dumps(whole))
    for verb in ("resume", "compare"):
        assert "not a valid sweep file" in hforch(verb, str(tmp_path / "s"), code=2).stderr


@pytest.mark.parametrize("name", ["samples.jsonl", "hforch.log", ".hydra/config.yaml", ".hydra", "report.html"])
@pytest.mark.parametrize("kind", ["a symbolic link", "not a regular file", "a directory"])
def test_links_and_special_files_are_not_written_to(tmp_path: Path, name: str, kind: str) -> None:
    if (name, kind) == (".hydra", "a directory"):
        return  # .hydra is a directory
    outside, file = tmp_path / "outside", tmp_path / "r" / name
    outside.mkdir()
    (outside / "mine").write_text("mine")
    file.parent.mkdir(parents=True)
    make = {"a symbolic link": lambda: file.symlink_to(outside / "mine"), "a directory": file.mkdir}
    make.get(kind, lambda: os.mkfifo(file))()
    refused = run(tmp_path / "r", "--force", code=2).stderr
    assert f"cannot write {file}: it is {kind}" in refused and "remove it" in refused
    assert contents(outside) == {"mine": b"mine"}


def test_a_link_as_job_directory_is_refused(tmp_path: Path) -> None:
    copy_of_sweep(tmp_path / "s", *FAKE, "generation.max_new_tokens=1,2")
    (tmp_path / "s" / "1").rename(tmp_path / "mine")
    (tmp_path / "s" / "1").symlink_to(tmp_path / "mine")
    before = contents(tmp_path)
    assert "1 is a symbolic link" in sweep(tmp_path / "s", "generation.max_new_tokens=1,2", "--force", code=2).stderr
    assert contents(tmp_path) == before


def test_circular_links_are_reported(tmp_path: Path) -> None:
    copy_of_sweep(tmp_path / "s", *FAKE, "generation.max_new_tokens=1,2")
    shutil.rmtree(tmp_path / "s" / "1")
    (tmp_path / "s" / "1").symlink_to("1")
    assert "too many levels of symbolic links" in hforch("compare", str(tmp_path / "s"), code=2).stderr
    assert "1 is a symbolic link" in hforch("resume", str(tmp_path / "s"), code=2).stderr


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_damaged_lines_of_a_sweep_are_skipped_and_run_again(tmp_path: Path, launcher: str) -> None:
    copy_of_sweep(tmp_path, *FAKE, "generation.max_new_tokens=1,2", f"hydra/launcher={launcher}")
    file = tmp_path / "1" / "samples.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], b'{"a": 1}\n', *lines[2:], lines[0]]))
    refused = hforch("resume", str(tmp_path), code=2).stderr
    assert f"{file} has 2 lines" in refused and "2 (index is missing), 5 (it has the same input" in refused
    hforch("resume", str(tmp_path), "--skip-damaged")
    assert sorted(one["index"] for one in read_samples(tmp_path / "1")) == list(range(len(lines)))
    assert "skipped" not in hforch("compare", str(tmp_path)).stdout


# ---------------------------------------------------------------- readers of the output
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_sweep_continues_when_its_reader_disconnects(tmp_path: Path, unbuffered: str) -> None:
    words = ["-m", *FAKE, f"hydra.sweep.dir={tmp_path}", "generation.max_new_tokens=1,2,3", "backend.token_s=0.02"]
    line = f'"{sys.executable}" -m hforch {" ".join(words)} | head -1; exit ${{PIPESTATUS[0]}}'
    environment = {"PYTHONUNBUFFERED": unbuffered, "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "the sweep continues" in done.stderr
    assert json.loads((tmp_path / "sweep.json").read_text())["status"] == "ok"
    assert {read_record(tmp_path / name)["status"] for name in "012"} == {"ok"}
    for typed, code in (
        (["compare", str(tmp_path)], 0),
        (["compare", str(tmp_path), "--require", "tokens_per_s>=1e9"], 3),
        (["compare", str(tmp_path), "--format", "json"], 0),
        (["resume", str(tmp_path)], 0),
    ):
        process = start(*typed)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        with process.stderr:
            said = process.stderr.read()
        assert process.wait(timeout=120) == code, said
        assert "wrong" not in said and "error" not in said


def test_unwritable_output_is_reported_and_the_record_is_complete(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(*FAKE, f"hydra.run.dir={tmp_path}", stdout=full)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said == "cannot write to stdout: no space left on device\n"
    assert read_record(tmp_path)["status"] == "ok"


@pytest.mark.parametrize("words", [(), ("-m", "runtime.seed=1,2")])
def test_a_dry_run_reports_inputs_without_a_column(words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "inputs.jsonl"
    file.write_text('{"topic": "physics", "question": "why?"}\n{"topic": "biology"}\n', encoding="utf-8")
    asked = ("backend=fake", "inputs=file", f"inputs.path={file}", "prompt.template='{topic}: {question}'")
    done = hforch(*words, *asked, "--dry-run", f"hydra.run.dir={tmp_path / 'run'}", code=2)
    assert "inputs.path" in done.stderr and "question" in done.stderr
    assert not (tmp_path / "run").exists()
