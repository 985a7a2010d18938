"""Settings of Hydra in swept options: those that Hydra reads once are rejected, those of a job apply to their jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from command_line import hforch

GLOBAL = "# @package _global_\n"
FAKE = ("backend=fake", "inputs=numbers_in_french", "hydra.sweep.dir=out", "--config-dir", "mine")
ONCE = "Hydra reads it once for the whole sweep"
READ_ONCE = {
    "a launcher": ("defaults:\n  - override /hydra/launcher: joblib\n", "hydra.launcher", 3),
    "a setting of a launcher": ("hydra:\n  launcher:\n    n_jobs: 1\n", "hydra.launcher.n_jobs", 4),
    "a directory": ("hydra:\n  sweep:\n    dir: elsewhere\n", "hydra.sweep.dir", 4),
    "a callback": (
        "hydra:\n  callbacks:\n    x:\n      _target_: hydra.experimental.callback.Callback\n",
        "hydra.callbacks.x",
        4,
    ),
    "logging of the sweep": (
        "hydra:\n  hydra_logging:\n    root:\n      level: ERROR\n",
        "hydra.hydra_logging.root.level",
        5,
    ),
    "sweep parameters": ("hydra:\n  sweeper:\n    params:\n      stop: none,newline\n", "hydra.sweeper.params", 4),
    "a batch size": ("hydra:\n  sweeper:\n    max_batch_size: 1\n", "hydra.sweeper.max_batch_size", 4),
    "a mode": ("hydra:\n  mode: RUN\n", "hydra.mode", 3),
}


def options(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (folder / "mine" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "mine" / path).write_text(text)


@pytest.mark.parametrize("name", READ_ONCE)
def test_a_setting_that_is_read_once_is_rejected_in_a_swept_option(tmp_path: Path, name: str) -> None:
    text, path, line = READ_ONCE[name]
    options(tmp_path, {"experiment/a.yaml": GLOBAL + text, "experiment/b.yaml": f"{GLOBAL}runtime: {{seed: 2}}\n"})
    launcher = ["hydra/launcher=joblib"] if "n_jobs" in path else []
    words = [word for word in FAKE if not ("sweep.dir" in word and "sweep.dir" in path)]
    done = hforch("-m", "+experiment=b,a", *launcher, *words, cwd=tmp_path, code=2)
    assert f"{path}" in done.stderr and ONCE in done.stderr
    assert f"    set in mine/experiment/a.yaml:{line}, selected by +experiment=b,a\n" in done.stderr
    assert "on the command line or in the primary config" in done.stderr or "set it for all jobs" in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine"]


def test_each_option_is_reported(tmp_path: Path) -> None:
    text = f"{GLOBAL}defaults: [override /hydra/launcher: joblib]\nhydra: {{launcher: {{n_jobs: 1}}}}\n"
    options(tmp_path, {"experiment/a.yaml": text, "experiment/b.yaml": text})
    done = hforch("-m", "+experiment=a,b", *FAKE, "runtime.batch_size=0", cwd=tmp_path, code=2)
    assert done.stderr.count(ONCE) == 2 and "runtime.batch_size" in done.stderr
    assert "mine/experiment/a.yaml:2" in done.stderr and "mine/experiment/b.yaml:2" in done.stderr


def test_options_swept_by_a_recipe_are_checked(tmp_path: Path) -> None:
    text = f"{GLOBAL}defaults: [override /hydra/launcher: joblib]\nstop: {{sequences: []}}\n"
    options(tmp_path, {"stop/mine.yaml": text})
    recipe = "defaults: [{backend: fake}]\nhydra: {sweeper: {params: {stop: 'none,mine'}}}\n"
    (tmp_path / "recipe.yaml").write_text(recipe)
    done = hforch("run", "recipe.yaml", "--config-dir", "mine", cwd=tmp_path, code=2)
    assert f"hydra.launcher: a swept option sets it, but {ONCE}" in done.stderr
    assert "mine/stop/mine.yaml:2" in done.stderr


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["hydra.sweep.dir=out/${runtime.seed}"], "hydra.sweep.dir"),
        (["hydra.sweep.dir=out/${hydra.job.override_dirname}"], "hydra.sweep.dir"),
        (["hydra.sweep.dir='out/${now:%f}/${runtime.seed}'"], "hydra.sweep.dir"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=${runtime.batch_size}"], "hydra.launcher.n_jobs"),
    ],
)
def test_a_value_that_depends_on_swept_values_is_rejected(tmp_path: Path, words: list[str], path: str) -> None:
    done = hforch("-m", "backend=fake", "runtime.seed=1,2", "runtime.batch_size=1,2", *words, cwd=tmp_path, code=2)
    assert f"{path}: its value depends on swept values, but {ONCE}" in done.stderr
    assert not list(tmp_path.iterdir())


def test_settings_for_the_whole_sweep_are_accepted(tmp_path: Path) -> None:
    launcher = f"{GLOBAL}defaults: [override /hydra/launcher: joblib]\nhydra: {{launcher: {{n_jobs: 1}}}}\n"
    options(tmp_path, {"experiment/a.yaml": launcher})
    same = ("hydra.sweep.dir='${oc.select:nothing,out}/${now:%Y}/${hydra.job.name}'",)
    words = ("backend=fake", "inputs=numbers_in_french", "--config-dir", "mine", *same)
    hforch("-m", "+experiment=a", "runtime.seed=1,2", *words, cwd=tmp_path)
    (sweep,) = tmp_path.glob("out/*/hforch/sweep.json")
    assert json.loads(sweep.read_text())["launcher"] == "joblib"
    hforch("-m", "+experiment=a", "experiment=a", "runtime.seed=3,4", "--dry-run", "--force", *words, cwd=tmp_path)


def test_settings_of_jobs_apply_to_the_jobs_of_their_option(tmp_path: Path) -> None:
    """Here, an option also repeats a value of the sweep, and sets the directory of a single run."""
    text = f"""{GLOBAL}
hydra:
  mode: MULTIRUN
  launcher: {{_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher}}
  run: {{dir: nowhere}}
  sweep: {{subdir: "first_${{hydra:job.num}}"}}
  output_subdir: mine
  job_logging: {{root: {{level: ERROR}}}}
"""
    options(tmp_path, {"experiment/a.yaml": text, "experiment/b.yaml": f"{GLOBAL}runtime: {{seed: 2}}\n"})
    hforch("-m", "+experiment=a,b", *FAKE, cwd=tmp_path)
    assert (tmp_path / "out" / "first_0" / "mine" / "config.yaml").exists()
    assert (tmp_path / "out" / "1" / ".hydra" / "config.yaml").exists()
    assert "level: ERROR" in (tmp_path / "out" / "first_0" / "mine" / "hydra.yaml").read_text()
    assert not (tmp_path / "nowhere").exists()


def test_jobs_that_differ_only_in_their_environment_are_all_run(tmp_path: Path) -> None:
    """Hydra sets the variables for each job, and equal jobs are otherwise run once."""
    text = f"{GLOBAL}hydra: {{job: {{env_set: {{HFORCH_TEST: VALUE}}}}}}\n"
    options(tmp_path, {f"experiment/{one}.yaml": text.replace("VALUE", one[0]) for one in ("a", "b", "b2")})
    hforch("-m", "+experiment=a,b,b2", *FAKE, cwd=tmp_path)
    records = [json.loads((tmp_path / "out" / number / "record.json").read_text()) for number in "012"]
    assert [one.get("same_as") for one in records] == [None, None, "../1"]


def test_errors_in_settings_of_jobs_are_reported_before_the_first_job(tmp_path: Path) -> None:
    text = f"{GLOBAL}hydra:\n  job_logging:\n    root:\n      level: LOUD\n  job:\n    env_set:\n      X: ${{nope}}\n"
    options(tmp_path, {"experiment/a.yaml": text, "experiment/b.yaml": f"{GLOBAL}runtime: {{seed: 2}}\n"})
    done = hforch("-m", "+experiment=b,a", *FAKE, cwd=tmp_path, code=2)
    assert "hydra.job_logging.root.level: must be a logging level; got 'LOUD'" in done.stderr
    assert "mine/experiment/a.yaml:5, selected by +experiment=b,a" in done.stderr
    assert "hydra.job.env_set.X: cannot be resolved" in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine"]
