"""Hydra jobs: their environment variables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from hforch.app.hydra_app import open_hydra
from hforch.app.hydra_jobs import open_jobs
from hforch.config.config_dirs import find_config_dirs
from hforch.runs.mode import MULTIRUN, SINGLE_RUN, RunMode


@pytest.mark.parametrize("mode", [SINGLE_RUN, MULTIRUN])
def test_the_machine_is_checked_in_the_environment_of_the_jobs(
    mode: RunMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_CHANGED", "before")
    monkeypatch.setenv("TEST_READ", "7")
    values = {"CHANGED": "within", "NEW": "'1'", "COPIED": "${oc.env:TEST_READ}", "NUMBER": "${hydra:job.num}"}
    words = [f"hydra.mode={mode.hydra_mode}", f"{mode.directory}={tmp_path}", "hydra/hydra_logging=none"]
    words += [f"+hydra.job.env_set.TEST_{name}={value}" for name, value in values.items()]
    dirs = find_config_dirs()
    with open_hydra(dirs) as hydra:
        jobs = open_jobs(hydra, mode, dirs.config_name, words)
        with jobs.environment():
            assert not OmegaConf.is_readonly(jobs.master.hydra)  # Hydra can set values for each job
            found = {name: os.environ.get(f"TEST_{name}") for name in values}
    assert found == {"CHANGED": "within", "NEW": "1", "COPIED": "7", "NUMBER": None}  # NUMBER depends on the job
    assert os.environ["TEST_CHANGED"] == "before" and "TEST_NEW" not in os.environ
