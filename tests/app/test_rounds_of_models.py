"""Rounds with real models: loads, answers, scores, and the CPU use of models that wait for their turn."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from command_line import hforch
from test_rounds import NOT_KEPT, loads, patched_sweep
from test_sweep import records

from hforch.config.compose import job_from_overrides
from hforch.records.record_files import read_samples
from hforch.records.sweep_file import read_sweep
from hforch.runs import JobContext
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.watcher import NullWatcher

pytestmark = pytest.mark.model

ASKED = ("inputs=numbers_in_french", "inputs.limit=2", "generation.max_new_tokens=8", "generation.ignore_eos=true")
TWO_MODELS = "runtime.threads=1,2"  # which are loaded separately
WATCHED_S = 1.0


def asked(model: Path, backend: str) -> tuple[str, ...]:
    return ("model=local", f"model.path={model}", f"backend={backend}", *ASKED)


@pytest.mark.parametrize("backend", ["pytorch", "openvino_genai"])
def test_models_stay_loaded_and_are_scored_after_all_rounds(tmp_path: Path, tiny_gpt2: Path, backend: str) -> None:
    words = (*asked(tiny_gpt2, backend), TWO_MODELS, "scoring=both", "scoring.text.window=64", "runtime.rounds=3")
    hforch("-m", *words, "scoring.baseline.top_k=50", f"hydra.sweep.dir={tmp_path}")
    assert read_sweep(tmp_path)["kept_loaded"] is True
    for name, record in records(tmp_path).items():
        assert loads(record) == [0, 0, 0]
        assert [stage["name"] for stage in record["stages"]].count("load") == 1  # scoring does not load it again
        assert record["scores"]["whole"] is True and record["scores"]["metrics"]["kl_mean"] is not None
        texts: dict[str, set[str]] = {}
        for sample in read_samples(tmp_path / name):
            texts.setdefault(sample["input_id"], set()).add(sample["text"])
        assert len(texts) == 2 and all(len(found) == 1 for found in texts.values())


@pytest.mark.parametrize("backend", ["pytorch", "openvino_genai"])
def test_models_that_do_not_fit_are_loaded_in_each_round(tmp_path: Path, tiny_gpt2: Path, backend: str) -> None:
    patched_sweep(tmp_path, NOT_KEPT, *asked(tiny_gpt2, backend), TWO_MODELS, "runtime.rounds=2")
    for record in records(tmp_path).values():
        assert record["status"] == "ok" and loads(record) == [0, 1]


@pytest.mark.parametrize("backend", ["pytorch", "openvino", "openvino_genai"])
def test_a_model_that_waits_for_its_turn_uses_no_cpu(tmp_path: Path, tiny_gpt2: Path, backend: str) -> None:
    words = asked(tiny_gpt2, backend)
    job = job_from_overrides(words)
    with WorkerPool() as pool:
        pool.keeps_all = True
        assert pool.run(job, tmp_path / "0", JobContext(words), NullWatcher(), "model") == 0
        (holder,) = pool._holders.values()
        assert holder.worker.pid is not None
        worker = psutil.Process(holder.worker.pid)
        time.sleep(0.5)  # threads may wait actively for a moment
        before = sum(worker.cpu_times()[:2])
        time.sleep(WATCHED_S)
        assert sum(worker.cpu_times()[:2]) - before < 0.2 * WATCHED_S
