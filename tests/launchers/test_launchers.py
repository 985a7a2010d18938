"""Adapters of launchers: how many jobs run at the same time, and which settings recipes may contain."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT
from repository_copy import Copy, examples

from hforch.app.launcher_parent import with_share_of_threads
from hforch.config.compose import job_from_overrides
from hforch.config.config_dirs import find_config_dirs
from hforch.config.recipes import read_recipe
from hforch.config.untrusted import unsafe_overrides
from hforch.errors import ConfigError
from hforch.launchers.base import Launcher
from hforch.launchers.registry import all_launchers, launcher_named, launcher_of

CORES = len(os.sched_getaffinity(0))
JOBLIB = all_launchers()["joblib"]


def test_a_launcher_is_found_by_its_option_and_by_its_class() -> None:
    assert set(all_launchers()) >= {"basic", "joblib"}
    for name, launcher in all_launchers().items():
        assert launcher_named(name) is launcher_of(f"somewhere.{launcher.class_name}") is launcher


def test_nothing_is_assumed_about_an_unknown_launcher() -> None:
    for unknown in (launcher_of("other.OtherLauncher"), launcher_of(None), launcher_named("other")):
        assert type(unknown) is Launcher
        assert unknown.concurrent_jobs({"n_jobs": 2}, 3) is None
        assert not unknown.run_by_hforch and not unknown.divides_threads and unknown.shares_files


@pytest.mark.parametrize(
    ("settings", "jobs", "number"),
    [
        ({"n_jobs": 2}, 5, 2),
        ({"n_jobs": 9}, 5, 5),
        ({"n_jobs": -1}, 99, CORES),
        ({"n_jobs": 0}, 5, None),
        ({}, 5, None),
    ],
)
def test_joblib_settings_determine_the_number_of_concurrent_jobs(
    settings: dict[str, Any], jobs: int, number: int | None
) -> None:
    assert JOBLIB.concurrent_jobs(settings, jobs) == number


def test_only_launchers_that_share_the_cpu_divide_its_threads_among_jobs() -> None:
    job, settings = job_from_overrides([]), {"n_jobs": 2}
    assert with_share_of_threads(job, JOBLIB, settings, 4).runtime.threads == max(1, CORES // 2)
    assert with_share_of_threads(job, Launcher(), settings, 4) == job
    own = job_from_overrides(["runtime.threads=3"])
    assert with_share_of_threads(own, JOBLIB, settings, 4) == own


# ---------------------------------------------------------------- recipes and records
def recipe(folder: Path, launcher: str, setting: str) -> Path:
    file = folder / "r.yaml"
    file.write_text(f"defaults:\n  - override hydra/launcher: {launcher}\nhydra:\n  launcher:\n    {setting}\n")
    return file


@pytest.mark.parametrize("setting", ["n_jobs: 2", "batch_size: auto", "pre_dispatch: 3*n_jobs", "pre_dispatch: all"])
def test_a_recipe_can_set_harmless_launcher_settings(tmp_path: Path, setting: str) -> None:
    assert read_recipe(recipe(tmp_path, "joblib", setting), find_config_dirs())["hydra"]["launcher"]


@pytest.mark.parametrize(
    ("launcher", "setting", "hint"),
    [
        ("joblib", "temp_folder: /tmp/x", "recipes may also set: batch_size, pre_dispatch"),
        ("joblib", "pre_dispatch: __import__('os')", "recipes may also set"),
        ("other", "batch_size: auto", None),
    ],
)
def test_a_recipe_cannot_set_other_launcher_settings(
    tmp_path: Path, launcher: str, setting: str, hint: str | None
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_recipe(recipe(tmp_path, launcher, setting), find_config_dirs())
    (mistake,) = caught.value.mistakes
    assert mistake.path == f"hydra.launcher.{setting.partition(':')[0]}"
    assert "must be a number" in str(mistake) and str(mistake.where).endswith("r.yaml:5")
    assert hint in str(mistake) if hint else mistake.hint is None


def test_a_record_contains_harmless_launcher_settings() -> None:
    choice = "hydra/launcher=joblib"
    assert list(unsafe_overrides([choice, "hydra.launcher.batch_size=auto"])) == []
    assert [text for text, _ in unsafe_overrides(["hydra.launcher.batch_size=auto"])] == [
        "hydra.launcher.batch_size=auto"
    ]
    assert list(unsafe_overrides([choice, "hydra.launcher.temp_folder=/tmp/x"]))


# ---------------------------------------------------------------- an added launcher
PLUGIN = '''
import time
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job, setup_globals
from hydra.plugins.launcher import Launcher


@dataclass
class Conf:
    _target_: str = "hydra_plugins.pool.launcher.PoolLauncher"
    workers: int = 2
    queue: str = "slow"


ConfigStore.instance().store(group="hydra/launcher", name="pool", node=Conf, provider="pool")


class PoolLauncher(Launcher):
    """Runs jobs in turn, in this process."""

    def __init__(self, workers, queue):
        self.queue = queue

    def setup(self, *, hydra_context, task_function, config):
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides, initial_job_idx):
        setup_globals()
        print(f"{self.name} on the queue {self.queue}", flush=True)
        done = []
        for number, overrides in enumerate(job_overrides):
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            config.hydra.job.id, config.hydra.job.num = str(number), number
            HydraConfig.instance().set_config(config)
            keys = {"job_dir_key": "hydra.sweep.dir", "job_subdir_key": "hydra.sweep.subdir"}
            done.append(
                run_job(hydra_context=self.hydra_context, config=config, task_function=self.task_function, **keys)
            )
        time.sleep(2)
        print("all were launched", flush=True)
        return done
'''
RECIPE = """
defaults:
  - backend: fake
  - inputs: numbers_in_french
  - override hydra/launcher: pool
generation: {max_new_tokens: 3}
runtime: {warmup: 0}
hydra:
  sweeper: {params: {runtime.seed: "1,2"}}
  launcher: {workers: 2, queue: fast}
"""


@pytest.mark.parametrize(("keeps", "shares"), [(True, True), (False, False)])
def test_one_module_adds_a_launcher(tmp_path: Path, keeps: bool, shares: bool) -> None:
    adapter = examples(ROOT / "CONTRIBUTING.md", "A launcher")["hforch/launchers/pool.py"]
    declared = f"keeps_processes = {keeps}\n    shares_files = {shares}"
    assert "keeps_processes = False" in adapter
    files = {
        "hydra_plugins/pool/__init__.py": "",
        "hydra_plugins/pool/launcher.py": PLUGIN,
        "hforch/launchers/pool.py": adapter.replace("keeps_processes = False", declared),
        "recipe.yaml": RECIPE,
    }
    with Copy(files, tmp_path) as copy:
        out = copy.hforch("run", "copy/recipe.yaml", "hydra.sweep.dir=out").stdout
    records = [json.loads((tmp_path / "out" / number / "record.json").read_text()) for number in "01"]
    assert [one["status"] for one in records] == ["ok", "ok"]
    assert [one["parallel"] for one in records] == [True, True]
    assert [one["job"]["runtime"]["threads"] for one in records] == [max(1, CORES // 2)] * 2
    assert [one["shared_load"] for one in records] == ([False, True] if keeps else [False, False])
    assert "hforch on the queue fast" in out
    first, launched = out.index("[1/2] runtime.seed=1"), out.index("all were launched")
    assert (first < launched) == shares  # running jobs are followed only if their files are visible
    assert "[2/2] runtime.seed=2" in out
