"""A sweep of 24 jobs over three loaded models, against a bare script that loads each once, and one process a job.

SmolLM2 on torch in fp32, on OpenVINO in fp32 and in int8; two prompts, two stops, two batch sizes; 8 inputs, 32 new
tokens. Weights and exports are in the cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bench.ratios import Ratio, in_turns
from bench.startup import BARE, prepared

BARE_TARGET, ALONE_TARGET = 1.15, 0.25
MODELS = (("pytorch", "fp32"), ("openvino", "fp32"), ("openvino", "int8"))
COMMON = {"inputs": "facts"}
SWEPT = {
    "backend": "pytorch,openvino",
    "precision": "fp32,int8",
    "prompt": "step_by_step,chat",
    "stop": "none,newline",
    "runtime.batch_size": "4,8",
}


def against_bare(rounds: int) -> Iterator[Ratio]:
    """Wall time of the whole, process start and records included."""
    folders = [[backend, str(prepared(f"backend={backend}", f"precision={name}"))] for backend, name in MODELS]
    questions = [item["question"] for item in _questions()]
    theirs = [sys.executable, str(BARE / "sweep.py"), json.dumps({"models": folders, "questions": questions})]
    yield in_turns(
        "24 jobs over 3 models",
        lambda: _sweep()[0],
        lambda: _wall(theirs),
        max(3, rounds // 3),
        BARE_TARGET,
    )


def against_processes(rounds: int) -> Iterator[Ratio]:
    """What is not generation: of one sweep, and of the same 24 jobs as processes of their own."""
    ours, theirs = [], []
    for _ in range(max(2, rounds // 4)):
        wall, records = _sweep()
        ours.append(wall - _generating(records))
        overhead = 0.0
        for record in records:
            with tempfile.TemporaryDirectory() as folder:
                words = [*record["overrides"], "generation.max_new_tokens=32", f"hydra.run.dir={folder}"]
                took = _wall([sys.executable, "-m", "hforch", *words])
                overhead += took - _generating([json.loads((Path(folder) / "record.json").read_text())])
        theirs.append(overhead)
    yield Ratio("what is not generation, against one process a job", tuple(ours), tuple(theirs), ALONE_TARGET)


def _questions() -> list[dict[str, str]]:
    option = Path(__file__).parents[1] / "conf" / "inputs" / "facts.yaml"
    items: list[dict[str, str]] = yaml.safe_load(option.read_text())["items"]
    return items


def _sweep() -> tuple[float, list[dict[str, Any]]]:
    """Wall seconds, and the records."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        exclude = [{"backend": "pytorch", "precision": "int8"}]
        defaults = [{group: option} for group, option in COMMON.items()]
        whole = {"defaults": defaults, "generation": {"max_new_tokens": 32}, "exclude": exclude}
        recipe.write_text(yaml.safe_dump({**whole, "hydra": {"sweeper": {"params": SWEPT}}}))
        sweep = Path(folder) / "sweep"
        took = _wall([sys.executable, "-m", "hforch", "run", str(recipe), f"hydra.sweep.dir={sweep}"])
        records = [json.loads(file.read_text()) for file in sweep.glob("*/record.json")]
    assert len(records) == 24, len(records)
    return took, [record | {"overrides": [*record["overrides"], "inputs=facts"]} for record in records]


def _wall(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def _generating(records: list[dict[str, Any]]) -> float:
    return sum(record["metrics"]["measured_s"] for record in records)
