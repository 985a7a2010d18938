"""Relative paths in a recipe are relative to the recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import hforch

from hforch.config.compose import job_from_overrides
from hforch.config.keys import path_keys

RECIPE = """
defaults:
  - backend: fake
  - prompt: question
  - inputs: file
inputs: {path: data/q.txt}
generation: {json_schema: ../schemas/a.json}
checks:
  items:
    - json_schema: ../schemas/a.json
    - {kind: json_schema, value: ../schemas/a.json, negate: true}
    - any_of: [{contains: data/q.txt}, {json_schema: ../schemas/a.json}]
    - contains: data/q.txt
runtime: {warmup: 0}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "recipes"
    (folder / "data").mkdir(parents=True)
    (folder.parent / "schemas").mkdir()
    (folder / "data" / "q.txt").write_text("why?\n")
    (folder.parent / "schemas" / "a.json").write_text('{"type": "object"}')
    file = folder / "mine.yaml"
    file.write_text(RECIPE)
    return file


def record(run: Path) -> Any:
    return json.loads((run / "record.json").read_text())


def test_all_path_settings_are_known() -> None:
    assert path_keys() == {"model.path", "inputs.path", "scoring.text.path", "generation.json_schema"}


def test_paths_are_relative_to_the_recipe_from_any_directory(recipe: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    job = job_from_overrides([], recipe=recipe)
    assert job.inputs.path == "project/recipes/data/q.txt"  # type: ignore[union-attr]
    assert job.generation.json_schema == "project/schemas/a.json"
    *schemas, members, contains = job.checks.items
    assert [check.value for check in (*schemas, contains)] == ["project/schemas/a.json"] * 2 + ["data/q.txt"]
    assert members.members[1].value == "project/schemas/a.json"
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    job = job_from_overrides([], recipe="../project/recipes/mine.yaml")
    assert job.inputs.path == str(recipe.parent / "data" / "q.txt")  # type: ignore[union-attr]
    monkeypatch.chdir(recipe.parent)
    assert job_from_overrides([], recipe="mine.yaml").inputs.path == "data/q.txt"  # type: ignore[union-attr]


def test_paths_on_the_command_line_are_relative_to_the_current_directory(recipe: Path) -> None:
    assert job_from_overrides(["inputs.path=x.txt"], recipe=recipe).inputs.path == "x.txt"  # type: ignore[union-attr]


KEPT = ["/abs/x.txt", "~/x.txt", "-", "${model.path}"]


@pytest.mark.parametrize("path", KEPT)
def test_other_paths_are_unchanged(path: str, tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    model = "model: {path: /m/x.txt}"
    file.write_text(f"defaults: [{{model: local}}, {{inputs: file}}]\n{model}\ninputs: {{path: '{path}'}}\n")
    wanted = "/m/x.txt" if path.startswith("$") else path
    assert job_from_overrides([], recipe=file).inputs.path == wanted  # type: ignore[union-attr]


def test_swept_and_excluded_paths_are_relative_to_the_recipe(recipe: Path, tmp_path: Path) -> None:
    (recipe.parent / "data" / "z.txt").write_text("how?\n")
    (recipe.parent / "data" / "x y.txt").write_text("how?\n")
    sweep = "hydra: {sweeper: {params: {inputs.path: 'data/q.txt,data/x y.txt,data/z.txt'}}}"
    text = (
        RECIPE.partition("generation")[0] + f"runtime: {{warmup: 0}}\n{sweep}\nexclude: [{{inputs.path: data/z.txt}}]\n"
    )
    recipe.write_text(text)
    hforch("run", str(recipe), f"hydra.sweep.dir={tmp_path / 'sweep'}", cwd=tmp_path)
    found = [record(tmp_path / "sweep" / number)["paths"]["inputs.path"] for number in "01"]
    assert [one["given"] for one in found] == ["data/q.txt", "data/x y.txt"]
    assert [one["resolved"] for one in found] == [str(recipe.parent / one["given"]) for one in found]
    assert not (tmp_path / "sweep" / "2").exists()


def test_paths_of_listed_jobs_are_relative_to_the_recipe(recipe: Path, tmp_path: Path) -> None:
    (recipe.parent / "data" / "z.txt").write_text("how?\n")
    listed = "jobs:\n- {inputs.path: data/q.txt}\n- {inputs: {path: data/z.txt}}\n"
    recipe.write_text(f"{RECIPE.partition('generation')[0]}runtime: {{warmup: 0}}\n{listed}")
    hforch("run", str(recipe), f"hydra.sweep.dir={tmp_path / 'sweep'}", cwd=tmp_path)
    found = [record(tmp_path / "sweep" / number)["paths"]["inputs.path"] for number in "01"]
    assert [one["resolved"] for one in found] == [str(recipe.parent / one) for one in ("data/q.txt", "data/z.txt")]


def test_a_run_from_another_directory_is_recorded_resumed_frozen_and_verified(recipe: Path, tmp_path: Path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    recipe.write_text(RECIPE.replace("generation: {json_schema: ../schemas/a.json}\n", ""))
    run = tmp_path / "run"
    hforch("run", str(recipe), f"hydra.run.dir={run}", cwd=elsewhere)
    schema = {"given": "../schemas/a.json", "resolved": str(tmp_path / "project" / "schemas" / "a.json")}
    assert record(run)["paths"] == {
        "inputs.path": {"given": "data/q.txt", "resolved": str(recipe.parent / "data" / "q.txt")},
        "checks.items.0.value": schema,
        "checks.items.1.value": schema,
        "checks.items.2.value.1.value": schema,
    }
    (run / "samples.jsonl").write_text("")
    hforch("resume", str(run), cwd=tmp_path)
    assert (run / "samples.jsonl").read_text()
    hforch("freeze", str(run), "-o", str(tmp_path / "frozen.yaml"), cwd=tmp_path)
    (other := tmp_path / "other").mkdir()
    (tmp_path / "frozen.yaml").rename(other / "frozen.yaml")
    done = hforch("verify", str(other / "frozen.yaml"), "--output", str(tmp_path / "again"), cwd=elsewhere)
    assert "identical" in done.stdout and "unchanged: configuration" in done.stdout


def test_a_missing_file_is_reported_with_its_resolved_path(recipe: Path, tmp_path: Path) -> None:
    (recipe.parent / "data" / "q.txt").unlink()
    said = hforch("run", str(recipe), f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path, code=2).stderr
    assert "project/recipes/data/q.txt: no such file" in said and "mine.yaml:6" in said


def test_a_model_directory_is_relative_to_the_recipe(tmp_path: Path) -> None:
    file = tmp_path / "r" / "r.yaml"
    file.parent.mkdir()
    file.write_text("defaults: [{model: local}]\nmodel: {path: ../m}\n")
    assert job_from_overrides([], recipe=file).model.path == str(tmp_path / "m")  # type: ignore[union-attr]


def test_the_path_of_a_model_in_place_of_an_option_is_relative_to_the_recipe(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "project" / "mine").mkdir(parents=True)
    (tmp_path / "project" / "tiny.gguf").touch()
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "project" / "recipe.yaml"
    for place, start in ((tmp_path / "elsewhere", f"{tmp_path}/project"), (tmp_path, "./project")):
        monkeypatch.chdir(place)
        for name in ("./mine", "mine", "../project/mine", "tiny.gguf"):
            file.write_text(f"defaults: [{{model: {name}}}, {{backend: fake}}]\n")
            path = job_from_overrides([], recipe=file).model.path  # type: ignore[union-attr]
            assert Path(path) == Path(start, Path(name).name)


def test_names_of_models_that_are_not_paths_are_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    (tmp_path / "gpt2").mkdir()  # an option takes precedence
    for name, source in (("gpt2", "hub"), ("ORG/NAME", "hub"), ("smollm2", "wheel")):
        file.write_text(f"defaults: [{{model: {name}}}, {{backend: fake}}]\n")
        assert job_from_overrides([], recipe=file).model.source == source


def test_paths_of_models_in_sweeps_jobs_and_exclusions_are_relative_to_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "project" / "mine").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "project" / "recipe.yaml"
    file.write_text(
        "defaults: [{backend: fake}]\nexclude: [{model: ./mine, precision: int8}]\n"
        "jobs: [{model: ./mine, generation.max_new_tokens: 8}]\n"
        "hydra: {sweeper: {params: {model: './mine,smollm2', precision: 'fp32,int8'}}}\n"
    )
    done = hforch("run", str(file), "hydra.sweep.dir=out", "runtime.warmup=0", cwd=tmp_path / "elsewhere")
    jobs = [record(folder)["job"] for folder in sorted((tmp_path / "elsewhere" / "out").glob("[0-9]*"))]
    mine = str(tmp_path / "project" / "mine")
    assert [(job["model"].get("path"), job["precision"]["name"]) for job in jobs] == [
        (mine, "fp32"),
        (None, "fp32"),
        (None, "int8"),
        (mine, "auto"),
    ], done.stdout


def test_an_error_about_the_path_of_a_model_shows_the_line_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("defaults:\n- backend: pytorch\n- model: ./none\n")
    told = hforch("run", "recipe.yaml", "--dry-run", code=2, cwd=tmp_path).stderr
    assert "model.path: directory not found: ./none\n    set in recipe.yaml:3" in told
