"""Sweeper plugins that choose jobs while the sweep runs, so Hydra runs each job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from repository_copy import Copy

PLUGIN = '''
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore


@dataclass
class Conf:
    _target_: str = "hydra_plugins.halving.sweeper.HalvingSweeper"
    rounds: int = 3


ConfigStore.instance().store(group="hydra/sweeper", name="halving", node=Conf, provider="halving")


class HalvingSweeper(BasicSweeper):
    """A sweeper that chooses each job by the result of the previous one."""

    def __init__(self, rounds):
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
WORDS = ("-m", "hydra/sweeper=halving", "backend=fake", "inputs=numbers_in_french", "hydra.sweep.dir=out")
BROKEN = "backend.failures=[{match: number 2, error: it broke, after: 3}]"


def test_a_sweeper_plugin_chooses_jobs_while_they_run(tmp_path: Path) -> None:
    def records() -> list[dict[str, Any]]:
        return [json.loads((tmp_path / "out" / number / "record.json").read_text()) for number in "012"]

    with Copy({"hydra_plugins/halving/__init__.py": "", "hydra_plugins/halving/sweeper.py": PLUGIN}, tmp_path) as copy:
        assert "are not known before they run" in copy.hforch(*WORDS, "--dry-run", code=2).stderr
        assert not (tmp_path / "out").exists()
        copy.hforch(*WORDS, BROKEN, code=1)
        assert [one["exit_code"] for one in records()] == [1, 1, 1]
        assert "contains the results of an earlier run" in copy.hforch(*WORDS, code=2).stderr
        copy.hforch(*WORDS, "--force")
    found = records()
    assert [one["job"]["generation"]["max_new_tokens"] for one in found] == [8, 4, 2]
    assert [one["status"] for one in found] == ["ok"] * 3
    assert not (tmp_path / "out" / "sweep.json").exists()
