"""Model bandwidth utilization: the value, the reasons for its absence, and its value in a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hforch.config.compose import job_from_overrides
from hforch.machine import bandwidth
from hforch.machine.environment import describe_environment
from hforch.metrics.catalog.mbu import NOT_MEASURED, kv_bytes, utilization, weight_bytes
from hforch.metrics.metric import Absent, Measured
from hforch.records.record_files import read_record
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

MACHINE = {"cpu": {"name": "a cpu", "usable_cores": 2, "logical_cores": 4}, "memory_mb": 8000}
CONFIG = {"num_hidden_layers": 10, "num_attention_heads": 8, "hidden_size": 512, "num_key_value_heads": 2}
KV_ELEMENTS = 2 * 10 * 2 * 64


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def measured(folder: Path, **record: Any) -> Measured:
    """Return a measured job: an int8 export of 100 MB, 20 ms per token, answers of 40 tokens to prompts of 80."""
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    usual = {
        "effective": {"device": ["CPU"], "precision": {"weights": "int8", "kv_cache": "u8", "compute": "f32"}},
        "model": {"export": {"key": "k"}},
        "disk_mb": 100.0,
        "plan": [["a"], ["b"]],
        "metrics": {"tpot_ms": 20.0, "absent": {}},
        "environment": MACHINE,
    }
    good = {"error": None, "prompt_tokens": 80, "output_tokens": 40}
    failed = {"error": {"message": "it broke"}, "prompt_tokens": None, "output_tokens": None}
    return Measured(usual | record, [good, good, failed], folder)


def kept(gb_per_s: float) -> None:
    machine = bandwidth.identity(MACHINE)
    assert machine is not None
    bandwidth.store(machine, gb_per_s, 2)


def test_mbu_is_bytes_by_time_by_bandwidth(tmp_path: Path) -> None:
    kept(10.0)
    one = measured(tmp_path)
    assert weight_bytes(one) == 100e6
    assert kv_bytes(one) == KV_ELEMENTS * (80 + 20)
    assert utilization(one) == pytest.approx((100e6 + KV_ELEMENTS * 100) / 0.020 / 10e9, abs=1e-4)


def test_kv_bytes_are_a_mean_over_the_steps_of_all_answers(tmp_path: Path) -> None:
    samples = [{"error": None, "prompt_tokens": 0, "output_tokens": number} for number in (10, 30)]
    one = measured(tmp_path)
    found = kv_bytes(Measured(one.record, samples, one.folder))
    assert found == KV_ELEMENTS * (10 * 5 + 30 * 15) / 40


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"effective": {"device": ["cuda:0"]}}, "the device was cuda:0"),
        ({"effective": {}}, "the device was none"),
        ({"plan": [["a", "b"]]}, "use runtime.batch_size=1"),
        ({"metrics": {"absent": {"tpot_ms": "fewer than two output tokens"}}}, "fewer than two output tokens"),
        ({"environment": {"cpu": {"name": "another"}, "memory_mb": 8000}}, "hforch doctor --bandwidth"),
        ({"environment": {}}, "hforch doctor --bandwidth"),
        ({"metrics": {"tpot_ms": 1.0}}, "some of them are in the CPU caches"),
        ({"model": {}}, "int8 weights in memory is unknown"),
        (
            {"effective": {"device": ["CPU"], "precision": {"kv_cache": "q7"}}},
            "the size of the KV cache is unknown",
        ),
    ],
)
def test_mbu_is_absent_with_the_reason(record: dict[str, Any], said: str, tmp_path: Path) -> None:
    kept(10.0)
    with pytest.raises(Absent, match=said):
        utilization(measured(tmp_path, **record))


def test_without_a_bandwidth_the_reason_names_the_command_to_measure_it(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="hforch doctor --bandwidth"):
        utilization(measured(tmp_path))


def test_a_run_records_why_mbu_is_absent(tmp_path: Path) -> None:
    words = ("backend=fake", "inputs=numbers_in_french", "runtime.isolation=inline")
    assert run(job_from_overrides(words), tmp_path / "run", JobContext(words), NullWatcher()) == 0
    assert "the device was none" in read_record(tmp_path / "run")["metrics"]["absent"]["mbu"]


@pytest.mark.model
def test_a_model_on_the_cpu_has_mbu_once_the_bandwidth_is_measured(tiny_gpt2: Path, tmp_path: Path) -> None:
    words = ("model=local", f"model.path={tiny_gpt2}", "backend=pytorch", "precision=fp32", "runtime.isolation=inline")
    words += ("inputs=numbers_in_french", "generation.max_new_tokens=8", "generation.ignore_eos=true")
    words += ("runtime.batch_size=1", "runtime.warmup=0")
    job = job_from_overrides(words)
    assert run(job, tmp_path / "before", JobContext(words), NullWatcher()) == 0
    assert read_record(tmp_path / "before")["metrics"]["absent"]["mbu"] == NOT_MEASURED
    machine = bandwidth.identity(describe_environment())
    assert machine is not None
    bandwidth.store(machine, 1.0, 2)
    assert run(job, tmp_path / "after", JobContext(words), NullWatcher()) == 0
    record = read_record(tmp_path / "after")
    metrics = record["metrics"]
    assert 0 < metrics["mbu"] < 1 and "mbu" not in metrics["absent"]
    assert metrics["mbu"] >= round(record["disk_mb"] * 1e6 / (metrics["tpot_ms"] / 1e3) / 1e9, 4) * 0.9
