"""`hforch run`: recipes by file, by name, and those that an installed hforch has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import ROOT, hforch

NAMES = sorted(file.stem for file in (ROOT / "recipes").glob("*.yaml"))
FAKE = ("backend=fake", "--cfg", "job")
MINE = "defaults: [{backend: fake}]\nruntime: {seed: 7}\n"


def test_without_an_argument_the_recipes_are_listed_with_their_descriptions(tmp_path: Path) -> None:
    done = hforch("run", cwd=tmp_path, code=2)
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == NAMES
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines()[1:])
    assert "requires a recipe" in done.stderr


@pytest.mark.parametrize("word", ["prompt_styles", "prompt_styles.yaml", "recipes/prompt_styles.yaml"])
def test_a_missing_recipe_with_the_name_of_one_of_hforch_stands_for_it(word: str, tmp_path: Path) -> None:
    done = hforch("run", word, *FAKE, cwd=tmp_path)
    assert f"note: using the recipe of hforch {ROOT / 'recipes' / 'prompt_styles.yaml'}" in done.stderr


@pytest.mark.parametrize(
    ("file", "word", "note"),
    [
        ("backends.yaml", "backends.yaml", None),
        ("recipes/backends.yaml", "recipes/backends.yaml", None),
        ("recipes/backends.yaml", "backends", "note: using the recipe recipes/backends.yaml"),
        ("recipes/mine.yml", "mine", "note: using the recipe recipes/mine.yml"),
    ],
)
def test_an_existing_file_takes_precedence(file: str, word: str, note: str | None, tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / file).write_text(MINE)
    done = hforch("run", word, *FAKE, cwd=tmp_path)
    assert "seed: 7" in done.stdout
    assert done.stderr == (f"{note}\n" if note else "")


@pytest.mark.parametrize("word", ["other/backends.yaml", "backendz", "recipes/backendz.yaml", "../backends"])
def test_another_name_is_an_error_that_suggests_one(word: str, tmp_path: Path) -> None:
    done = hforch("run", word, *FAKE, cwd=tmp_path, code=2)
    assert f"recipe not found: {word}" in done.stderr and "recipes/backends.yaml" in done.stderr


def test_a_run_of_a_recipe_of_hforch_can_be_resumed(tmp_path: Path) -> None:
    hforch("run", "step_by_step", "backend=fake", "hydra.run.dir=run", cwd=tmp_path)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["recipe"] == str(ROOT / "recipes" / "step_by_step.yaml")
    hforch("resume", "run", cwd=tmp_path)


def test_the_wheel_contains_the_recipes(tmp_path: Path) -> None:
    """Install the files that the wheel includes, without building it, and run a recipe in an empty directory."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    site, work = tmp_path / "site", tmp_path / "work"
    for package in wheel["packages"]:
        shutil.copytree(ROOT / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in wheel["force-include"].items():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, site / target)
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "hforch", "run", "stop_sequences", "backend=fake", "--dry-run"],
        capture_output=True,
        text=True,
        check=True,
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert f"note: using the recipe of hforch {site / 'hforch' / 'recipes' / 'stop_sequences.yaml'}" in done.stderr
    assert "stop=blank_line" in done.stdout
