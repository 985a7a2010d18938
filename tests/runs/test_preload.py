"""Libraries that a worker imports early, and those it imports on demand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import command_line
import pytest

from hforch.records.record_files import read_record

pytest.importorskip("torchao")

PROGRAM = """
import json, sys
from hforch.runs.processes.fork_safety import initialized
from hforch.runs.processes.imports import import_all
from hforch.runs.processes.preload import preload
import_all("pytorch")
from transformers.utils import is_sklearn_available, is_torchao_available
found = {"torch": "torch" in sys.modules, "torchao": "torchao" in sys.modules, "initialized": initialized()}
found |= {"sklearn is hidden": not is_sklearn_available(), "torchao is there": is_torchao_available()}
preload("pytorch", "int8")
print(json.dumps(found | {"torchao for int8": "torchao" in sys.modules}))
"""


@pytest.mark.model
def test_torchao_is_imported_only_for_int8() -> None:
    """Importing torchao initializes CUDA, which forks cannot use then."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == {
        **{"torch": True, "torchao": False, "initialized": []},
        **{"sklearn is hidden": True, "torchao is there": True, "torchao for int8": True},
    }


@pytest.mark.model
def test_a_worker_quantizes_with_torchao(tmp_path: Path, tiny_gpt2: Path) -> None:
    words = ("model=local", f"model.path={tiny_gpt2}", "precision=int8", "generation.max_new_tokens=3")
    done = command_line.run(*words, f"hydra.run.dir={tmp_path}", cold=True)
    assert done.returncode == 0, done.stderr
    record = read_record(tmp_path)
    assert record["effective"]["precision"]["quantizer"] == "torchao"
    assert record["process"] == {"start": "fork"}
