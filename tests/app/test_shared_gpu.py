"""Sweeps on one GPU: jobs in parallel with a launcher, and sequentially."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hforch.records.record_files import read_record

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]

PRETENDED = '''
"""Pretend that every Python process of the sweep has a GPU, used by each process that has listed its processes."""

import sys
from dataclasses import replace
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from os import getpid
from pathlib import Path

ON_IT = Path(__file__).parent / "processes"


def processes():
    ON_IT.mkdir(exist_ok=True)
    (ON_IT / str(getpid())).touch()
    return {int(one.name): 1000.0 for one in ON_IT.iterdir() if is_alive(one.name)}


def is_alive(pid):
    try:
        return "State:\\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


class WithCard(MetaPathFinder):
    """An import hook that replaces NVML and torch with fakes and lets the fake backend use cuda:0."""

    def find_spec(self, name, path, target=None):
        if name != "hforch.backends.fake":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            pretend(module)

        spec.loader.exec_module = exec_module
        return spec


def pretend(backend):
    from fake_nvml import FakeCard, FakeNvml, fake_torch
    from hforch.machine import nvml

    cards = [FakeCard(processes=processes)]
    sys.modules["pynvml"], sys.modules["torch"] = FakeNvml(cards), fake_torch(cards)
    nvml.NODES = (Path("/dev/null"),)
    load = backend.load

    def claiming(job, prepared):
        loaded = load(job, prepared)
        return replace(loaded, effective=loaded.effective | {"device": ["cuda:0"]})

    backend.load = claiming


sys.meta_path.insert(0, WithCard())
'''


def sweep(directory: Path, *words: str) -> tuple[str, list[dict[str, object]]]:
    """Run a sweep of two jobs on the fake GPU, and return its output and records."""
    pretended = directory / "pretended"
    pretended.mkdir()
    (pretended / "sitecustomize.py").write_text(PRETENDED)
    folders = [str(pretended), str(ROOT), str(ROOT / "tests")]
    command = [
        *(sys.executable, "-m", "hforch", "-m", "backend=fake", "inputs=numbers_in_french", *words),
        *("backend.load_s=0,0.01", "generation.max_new_tokens=8", f"hydra.sweep.dir={directory / 'sweep'}"),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, [read_record(directory / "sweep" / name) for name in ("0", "1")]


def test_parallel_jobs_on_one_gpu_are_marked_and_not_ranked(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    # Each is measured for seconds, so that they overlap even if one starts later.
    words = ("hydra.launcher.n_jobs=2", "backend.token_s=0.1", "runtime.warmup=0")
    out, records = sweep(tmp_path, "hydra/launcher=joblib", *words)
    reason = "1 other process used cuda:0 at the same time"
    assert [record.get("shared_accelerator") for record in records] == [reason, reason]
    assert f"not ranked by speed or energy: {reason}" in out
    assert all(record["metrics"]["energy_j"] > 0 for record in records)  # type: ignore[index]


def test_sequential_jobs_do_not_share_the_gpu(tmp_path: Path) -> None:
    _, records = sweep(tmp_path, "runtime.isolation=process")
    assert records[0]["load_key"] != records[1]["load_key"]  # so each has its own process
    assert [record.get("shared_accelerator") for record in records] == [None, None]
    assert all(record["accelerators"][0]["other_processes"]["number"] == 0 for record in records)  # type: ignore[index]
