"""Tests of worker processes with a model on a real GPU, with all installed libraries, such as torchao."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import tiny_models
from pretending import ROOT

from hforch.records.record_files import read_record

pytestmark = [pytest.mark.gpu, pytest.mark.model]

# Simulates a library that initializes CUDA on import.
INITIALIZES = """
import importlib.abc, importlib.machinery, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "transformers.modeling_utils":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        def exec_module(module):
            execute(module)
            import torch
            torch.cuda.get_device_capability()
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_llama(
        tmp_path_factory.mktemp("gpu") / "llama", hidden_size=256, intermediate_size=512, num_hidden_layers=2
    )


def run(folder: Path, model: Path, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run hforch in a new Python process."""
    command = [sys.executable, "-m", "hforch", "model=local", f"model.path={model}", "generation.max_new_tokens=4"]
    paths = (path, str(ROOT), os.environ.get("PYTHONPATH"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(
        [*command, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.parametrize("device", ["gpu", "auto", "cpu"])
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_a_forked_worker_uses_the_gpu(tmp_path: Path, model: Path, precision: str, device: str) -> None:
    if precision == "int8" and not find_spec("torchao"):
        pytest.skip("torchao is not installed")
    words = (f"device={device}", f"precision={precision}", f"hydra.run.dir={tmp_path / 'run'}")
    done = run(tmp_path, model, *words)
    assert done.returncode == 0, done.stderr
    assert read_record(tmp_path / "run")["process"] == {"start": "fork"}


def test_early_imports_do_not_initialize_cuda() -> None:
    program = (
        "import json; from hforch.runs.processes.imports import import_all;"
        " from hforch.runs.processes.fork_safety import initialized;"
        " import_all('pytorch'); print(json.dumps(initialized()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("device", ["gpu", "auto", "cpu"])
def test_a_gpu_worker_is_spawned_if_a_library_initializes_cuda(tmp_path: Path, model: Path, device: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(INITIALIZES)
    sweep = tmp_path / "sweep"
    words = ("-m", f"device={device}", "runtime.seed=1,2", f"hydra.sweep.dir={sweep}")
    done = run(tmp_path, model, *words, path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = [read_record(sweep / name) for name in "01"]
    assert [one["process"]["start"] for one in found] == ["fork" if device == "cpu" else "spawn"] * 2
    assert [one["shared_load"] for one in found] == [False, True]
    if device != "cpu":
        assert "torch.cuda" in found[0]["process"]["because"]
