"""hforch init: a project directory that works without changes."""

from __future__ import annotations

import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml
from command_line import run

from hforch import cli
from hforch.commands.init import FILES


@pytest.mark.model
def test_the_suggested_commands_work(tmp_path: Path) -> None:
    """The run uses the fake backend; the recipe, with real backends, is only planned."""
    done = hforch(tmp_path, "init", "mine")
    commands = [line.strip() for line in done.partition("Next steps:")[2].splitlines() if line.strip()]
    assert commands[0] == "cd mine"
    first, planned, _ = (shlex.split(command)[1:] for command in commands[1:])
    assert "4 of 4 samples succeeded" in hforch(tmp_path / "mine", *first, "backend=fake")
    assert "backend=openvino" in hforch(tmp_path / "mine", *planned)


def test_its_own_option_applies(tmp_path: Path) -> None:
    hforch(tmp_path, "init")
    file = tmp_path / "conf" / "generation" / "short.yaml"
    file.write_text(file.read_text().replace("32", "5"))
    assert "max_new_tokens: 5" in hforch(tmp_path, "--cfg", "job")


@pytest.mark.slow
@pytest.mark.openvino
def test_the_commands_of_its_readme_work(tmp_path: Path) -> None:
    hforch(tmp_path, "init")
    lines = [
        line.strip() for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("    hforch")
    ]
    assert len(lines) == 6
    for line in lines:
        said = hforch(tmp_path, *shlex.split(line)[1:])
    assert "identical: all 4 outputs match" in said


def test_existing_files_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "project.yaml").write_text("mine")
    assert cli.main(["init", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"files already exist: {tmp_path}/conf/project.yaml, {tmp_path}/README.md\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "conf"]


@pytest.mark.parametrize("swept", [True, False], ids=["sweep", "run"])
def test_results_are_not_mixed_with_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str], swept: bool) -> None:
    kind, flags = ("sweep", ["-m", "runtime.seed=1,2"]) if swept else ("run", [])
    hforch(tmp_path, *flags, "backend=fake", "inputs=numbers_in_french", f"hydra.{kind}.dir=results")
    before = sorted(tmp_path.rglob("*"))
    folders = [tmp_path / "results", *([tmp_path / "results" / "0", tmp_path / "results" / "new"] if swept else [])]
    for folder in folders:
        assert cli.main(["init", str(folder)]) == 2
        assert "contains the results of a run or a sweep" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    hforch(tmp_path, "init")  # a directory above results may become a project


def test_its_files_match_the_schemas_it_writes(tmp_path: Path) -> None:
    import json

    assert cli.main(["init", str(tmp_path)]) == 0
    for name in FILES:
        first, *_ = (tmp_path / name).read_text().splitlines()
        if "$schema=" in first:
            schema = json.loads(((tmp_path / name).parent / first.partition("$schema=")[2]).read_text())
            jsonschema.validate(yaml.safe_load((tmp_path / name).read_text()), schema)


def test_an_unwritable_directory_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["init", str(tmp_path / "file" / "x")]) == 1
    assert "cannot write" in capsys.readouterr().err


def hforch(folder: Path, *words: str) -> str:
    done = run(*words, cwd=folder, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
