"""Sweeper plugins are rejected, wherever one is selected."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from repository_copy import Copy

PLUGIN = '''
from dataclasses import dataclass
from typing import Dict, Optional

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore


@dataclass
class Conf:
    _target_: str = "hydra_plugins.halving.sweeper.HalvingSweeper"
    rounds: int = 3
    params: Optional[Dict[str, str]] = None


ConfigStore.instance().store(group="hydra/sweeper", name="halving", node=Conf, provider="halving")


class HalvingSweeper(BasicSweeper):
    """A sweeper that chooses each job by the result of the previous one."""

    def __init__(self, rounds, params):
        super().__init__(max_batch_size=None)
        self.rounds = rounds

    def sweep(self, arguments):
        tokens, found = 8, []
        for number in range(self.rounds):
            overrides = [*arguments, f"generation.max_new_tokens={tokens}"]
            found += self.launcher.launch([overrides], initial_job_idx=number)
            tokens = tokens // 2 if found[-1].return_value == 0 else tokens
        return found
'''
FAKE = ("backend=fake", "inputs=numbers_in_french", "hydra.sweep.dir=out", "hydra.run.dir=out")
TARGET = "hydra_plugins.halving.sweeper.HalvingSweeper"
FILES = {
    "mine/halved.yaml": "defaults:\n  - config\n  - override hydra/sweeper: halving\n  - _self_\n",
    "mine/targeted.yaml": f"defaults: [config, _self_]\nhydra:\n  sweeper:\n    _target_: {TARGET}\n",
    "mine/experiment/a.yaml": "# @package _global_\ndefaults:\n  - override /hydra/sweeper: halving\n",
    "mine/experiment/b.yaml": "# @package _global_\nruntime:\n  seed: 1\n",
    "recipe.yaml": "defaults: [{backend: fake}]\nhydra: {sweeper: {params: {runtime.seed: '1,2'}}}\n",
}
MINE = ("--config-dir", "mine")
CHOSEN = {
    "an option": (["-m", "hydra/sweeper=halving"], "hydra/sweeper=halving"),
    "a class": (["-m", f"hydra.sweeper._target_={TARGET}"], f"hydra.sweeper._target_={TARGET}"),
    "a mode": (["hydra.mode=MULTIRUN", "hydra/sweeper=halving"], "hydra/sweeper=halving"),
    "a single run": (["hydra/sweeper=halving"], "hydra/sweeper=halving"),
    "a dry run": (["-m", "hydra/sweeper=halving", "--dry-run"], "hydra/sweeper=halving"),
    "a primary config": (["-m", *MINE, "--config-name", "halved"], "mine/halved.yaml:3"),
    "a class in a primary config": (["-m", *MINE, "--config-name", "targeted"], "mine/targeted.yaml:4"),
    "an experiment": (["-m", *MINE, "+experiment=a"], "mine/experiment/a.yaml:3, selected by +experiment=a"),
    "a swept experiment": (["-m", *MINE, "+experiment=b,a"], "mine/experiment/a.yaml:3, selected by +experiment=b,a"),
    "a recipe": (["run", "recipe.yaml", "hydra/sweeper=halving"], "hydra/sweeper=halving"),
    "the base of a recipe": (["run", "recipe.yaml", *MINE, "--config-name", "halved"], "mine/halved.yaml:3"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    folder = tmp_path_factory.mktemp("plugin")
    files = {"hydra_plugins/halving/__init__.py": "", "hydra_plugins/halving/sweeper.py": PLUGIN}
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    with Copy(files, folder) as copy:
        yield copy


@pytest.mark.parametrize("chosen", CHOSEN)
def test_a_sweeper_plugin_is_rejected_with_the_place_that_selects_it(copy: Copy, chosen: str) -> None:
    words, place = CHOSEN[chosen]
    done = copy.hforch(*words, *FAKE, code=2)
    assert "hydra.sweeper: HalvingSweeper cannot be used: " in done.stderr
    assert "jobs of hforch return an exit code" in done.stderr
    assert f"    set in {place}" in done.stderr
    assert "hydra/sweeper=basic" in done.stderr
    assert not (copy.path.parent / "out").exists()


def test_other_errors_are_reported_with_it(copy: Copy) -> None:
    done = copy.hforch("-m", "hydra/sweeper=halving", *FAKE, "runtime.batch_size=0", code=2)
    assert "HalvingSweeper" in done.stderr and "runtime.batch_size" in done.stderr


def test_its_configuration_can_be_displayed(copy: Copy) -> None:
    assert TARGET in copy.hforch("--cfg", "hydra", "-p", "hydra.sweeper", "hydra/sweeper=halving").stdout
