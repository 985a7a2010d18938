"""Project files: found without flags, and options that replace the project's values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from command_line import hforch

from hforch.config.compose import job_from_overrides
from hforch.errors import ConfigError

PROJECT = """\
defaults:
  - config
  - override backend: fake
  - _self_
generation:
  max_new_tokens: 32
runtime:
  seed: 7
"""
NOTE = "note: using the project file conf/project.yaml (to ignore it: --config-name config)"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the option `generation: short`; the current directory."""
    (tmp_path / "conf" / "generation").mkdir(parents=True)
    (tmp_path / "conf" / "generation" / "short.yaml").write_text("defaults: [greedy]\nmax_new_tokens: 3\n")
    (tmp_path / "conf" / "project.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tokens(*words: str, cwd: Path) -> int:
    return int(yaml.safe_load(hforch(*words, "--cfg", "job", cwd=cwd).stdout)["generation"]["max_new_tokens"])


# ---------------------------------------------------------------- found without flags
def test_the_project_in_the_current_directory_is_used_and_reported(project: Path) -> None:
    done = hforch("--cfg", "job", cwd=project)
    assert done.stderr.splitlines() == [NOTE]
    found = yaml.safe_load(done.stdout)
    assert (found["backend"]["name"], found["runtime"]["seed"]) == ("fake", 7)


@pytest.mark.parametrize(
    "flags",
    [["--config-name", "config"], ["--config-dir", "conf"], ["--config-dir", "conf", "--config-name", "config"]],
)
def test_flags_take_precedence_over_the_project(project: Path, flags: list[str]) -> None:
    done = hforch(*flags, "--cfg", "job", cwd=project)
    assert done.stderr == ""
    assert yaml.safe_load(done.stdout)["runtime"]["seed"] == 0


@pytest.mark.parametrize("text", ["", "a: 1\n", "defaults: [base]\nx: config\n", "a: [", "defaults:\n  - config: x\n"])
def test_a_file_of_another_program_is_ignored(project: Path, text: str) -> None:
    (project / "conf" / "project.yaml").write_text(text)
    done = hforch("--cfg", "job", cwd=project)
    assert done.stderr == ""


def test_an_error_in_the_project_is_reported_with_its_line(project: Path) -> None:
    (project / "conf" / "project.yaml").write_text(f"{PROJECT}  sed: 1\n")
    done = hforch(cwd=project, code=2)
    assert "runtime.sed: unknown key" in done.stderr and "conf/project.yaml:9" in done.stderr


def test_the_record_of_a_project_run_has_the_flags_and_the_run_can_be_resumed(project: Path) -> None:
    hforch("hydra.run.dir=run", cwd=project)
    record = json.loads((project / "run" / "record.json").read_text())
    assert (record["config_dir"], record["config_name"]) == ("conf", "project")
    hforch("resume", "run", cwd=project)
    (project / "elsewhere").mkdir()
    assert "--config-dir conf" in hforch("resume", "../run", cwd=project / "elsewhere", code=2).stderr


def test_a_run_without_the_project_is_resumed_without_it(project: Path) -> None:
    hforch("backend=fake", "--config-name", "config", "hydra.run.dir=run", cwd=project)
    assert NOTE not in hforch("resume", "run", cwd=project).stderr


def test_a_frozen_run_is_reproduced_in_another_project(project: Path, tmp_path: Path) -> None:
    hforch("--config-name", "config", "backend=fake", "hydra.run.dir=run", cwd=project)
    hforch("freeze", "run", "-o", "frozen.yaml", cwd=project)
    done = hforch("verify", "frozen.yaml", cwd=project)
    assert NOTE in done.stderr and "identical" in done.stdout


def test_hforch_ask_uses_the_project(project: Path) -> None:
    done = hforch("ask", "hi", "generation=short", "--json", cwd=project)
    assert NOTE in done.stderr
    assert json.loads(done.stdout)["usage"]["completion_tokens"] == 3


def test_completion_prints_no_note(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "hforch generation=sh")
    done = hforch("-sc", "query=bash", cwd=project)
    assert done.stdout.split() == ["generation=short"] and done.stderr == ""


# ---------------------------------------------------------------- options replace the project's values
def test_an_option_on_the_command_line_replaces_the_values_of_the_project(project: Path) -> None:
    done = hforch("generation=short", "--cfg", "job", cwd=project)
    assert yaml.safe_load(done.stdout)["generation"]["max_new_tokens"] == 3
    assert "generation=short replaces the values of generation in conf/project.yaml: max_new_tokens" in done.stderr
    assert tokens(cwd=project) == 32
    assert tokens("generation=short", "generation.max_new_tokens=5", cwd=project) == 5


def test_an_option_in_a_recipe_replaces_the_values_of_the_project(project: Path) -> None:
    (project / "r.yaml").write_text("defaults:\n  - generation: short\n")
    done = hforch("run", "r.yaml", "--cfg", "job", cwd=project)
    assert yaml.safe_load(done.stdout)["generation"]["max_new_tokens"] == 3
    assert "the recipe's generation=short replaces the values of generation in conf/project.yaml" in done.stderr
    (project / "other.yaml").write_text("defaults:\n  - prompt: raw\n")
    assert tokens("run", "other.yaml", cwd=project) == 32


def test_the_values_of_a_swept_option_are_not_replaced_by_the_project(project: Path) -> None:
    hforch("-m", "generation=short,greedy", "hydra.sweep.dir=sweep", cwd=project)
    jobs = json.loads((project / "sweep" / "sweep.json").read_text())["jobs"]
    assert [one["job"]["generation"]["max_new_tokens"] for one in jobs] == [3, 64]
    records = [json.loads((project / "sweep" / str(at) / "record.json").read_text()) for at in (0, 1)]
    assert [one["job"]["generation"]["max_new_tokens"] for one in records] == [3, 64]


def test_an_error_names_the_option_that_replaced_the_values(project: Path) -> None:
    (project / "conf" / "generation" / "short.yaml").write_text("defaults: [greedy]\nmax_new_tokens: lots\n")
    with pytest.raises(ConfigError) as caught:
        job_from_overrides(["generation=short"], config_dir="conf", config_name="project")
    assert [one.where for one in caught.value.mistakes] == [
        "conf/generation/short.yaml:2, selected by generation=short"
    ]


def test_a_value_next_to_the_selected_option_is_reported(project: Path) -> None:
    text = PROJECT.replace("  - _self_\n", "  - override generation: short\n  - _self_\n")
    (project / "conf" / "project.yaml").write_text(text)
    done = hforch("--cfg", "job", cwd=project)
    assert yaml.safe_load(done.stdout)["generation"]["max_new_tokens"] == 32
    note = "conf/project.yaml:7 sets generation.max_new_tokens=32, which replaces 3 of generation=short"
    assert f"{note} (conf/generation/short.yaml)" in done.stderr


def test_a_value_next_to_a_built_in_option_is_not_reported(project: Path) -> None:
    text = PROJECT.replace("  - _self_\n", "  - override generation: sample\n  - _self_\n")
    (project / "conf" / "project.yaml").write_text(text)
    assert hforch("--cfg", "job", cwd=project).stderr.splitlines() == [NOTE]
