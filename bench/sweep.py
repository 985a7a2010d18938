"""A sweep of 24 jobs over three loaded models, vs. a bare script that loads each once, and vs. one process per job.

SmolLM2 on torch in fp32, on OpenVINO in fp32 and int8; two prompts, two stop settings, two batch sizes; 8 inputs,
32 new tokens. Weights and exports are already cached.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from bench.ratios import Ratio, in_turns
from bench.scale import Scale
from bench.startup import BARE, prepared

BARE_TARGET, ALONE_TARGET = 1.15, 0.25
MODELS = (("pytorch", "fp32"), ("openvino", "fp32"), ("openvino", "int8"))
COMMON = {"inputs": "facts"}
EXCLUDED = {"backend": "pytorch", "precision": "int8"}
STOPS = {"none": None, "newline": ["\n"]}
SWEPT = {
    "backend": "pytorch,openvino",
    "precision": "fp32,int8",
    "prompt": "step_by_step,chat",
    "stop": "none,newline",
    "runtime.batch_size": "4,8",
}
SMOKE = {"backend": "openvino", "precision": "int8", "prompt": "chat", "stop": "newline", "runtime.batch_size": "8"}


def against_bare(scale: Scale) -> Iterator[Ratio]:
    """Measure the total wall time, including process start and records."""
    swept, tokens = scale.pick((SWEPT, 32), (SMOKE, 2))
    models = [(backend, name) for backend, name in MODELS if backend in swept["backend"] and name in swept["precision"]]
    folders = [[backend, str(prepared(f"backend={backend}", f"precision={name}"))] for backend, name in models]
    asked = {"models": folders, "questions": [item["question"] for item in _questions()], "tokens": tokens}
    asked |= {name: swept[key].split(",") for name, key in (("styles", "prompt"), ("sizes", "runtime.batch_size"))}
    asked["stops"] = [STOPS[name] for name in swept["stop"].split(",")]
    theirs = [sys.executable, str(BARE / "sweep.py"), json.dumps(asked)]
    name = f"{_jobs(swept)} jobs over {len(models)} models"
    yield in_turns(name, lambda: _sweep(swept, tokens)[0], lambda: _wall(theirs), scale.rounds(3), BARE_TARGET)


def against_processes(scale: Scale) -> Iterator[Ratio]:
    """Measure the time outside generation: of a sweep, and of the same 24 jobs in separate processes."""
    ours, theirs = [], []
    swept, tokens = scale.pick((SWEPT, 32), (SMOKE, 2))
    for _ in range(scale.rounds(2)):
        wall, records = _sweep(swept, tokens)
        ours.append(wall - _generating(records))
        overhead = 0.0
        for record in records:
            with tempfile.TemporaryDirectory() as folder:
                words = [*record["overrides"], f"generation.max_new_tokens={tokens}", f"hydra.run.dir={folder}"]
                took = _wall([sys.executable, "-m", "hforch", *words])
                overhead += took - _generating([json.loads((Path(folder) / "record.json").read_text())])
        theirs.append(overhead)
    yield Ratio("time outside generation, vs. one process per job", tuple(ours), tuple(theirs), ALONE_TARGET)


def _questions() -> list[dict[str, str]]:
    option = Path(__file__).parents[1] / "conf" / "inputs" / "facts.yaml"
    items: list[dict[str, str]] = yaml.safe_load(option.read_text())["items"]
    return items


def _jobs(swept: dict[str, str]) -> int:
    """Return the number of combinations without EXCLUDED."""
    combinations = [dict(zip(swept, one, strict=True)) for one in product(*(one.split(",") for one in swept.values()))]
    return sum(not EXCLUDED.items() <= one.items() for one in combinations)


def _sweep(swept: dict[str, str], tokens: int) -> tuple[float, list[dict[str, Any]]]:
    """Return the wall time in seconds, and the records."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        defaults = [{group: option} for group, option in COMMON.items()]
        whole = {"defaults": defaults, "generation": {"max_new_tokens": tokens}, "exclude": [EXCLUDED]}
        recipe.write_text(yaml.safe_dump({**whole, "hydra": {"sweeper": {"params": swept}}}))
        sweep = Path(folder) / "sweep"
        took = _wall([sys.executable, "-m", "hforch", "run", str(recipe), f"hydra.sweep.dir={sweep}"])
        records = [json.loads(file.read_text()) for file in sweep.glob("*/record.json")]
    assert len(records) == _jobs(swept), len(records)
    return took, [record | {"overrides": [*record["overrides"], "inputs=facts"]} for record in records]


def _wall(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def _generating(records: list[dict[str, Any]]) -> float:
    return sum(record["metrics"]["measured_s"] for record in records)
