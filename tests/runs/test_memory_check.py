"""The check whether a model fits into the memory of its device, and its hints, on fake devices."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_cuda import Card, FakeCuda

from hforch import cli
from hforch.config.compose import job_from_overrides
from hforch.config.schema import Job
from hforch.errors import ConfigError
from hforch.inputs import load_inputs
from hforch.machine.accelerators import Accelerator
from hforch.models.estimate import Estimate
from hforch.runs import JobContext, memory_check, run
from hforch.runs.memory_check import devices_for, estimate_job, spread, too_large
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.watcher import NullWatcher

GB = 1000.0  # MB
MACHINE = psutil.virtual_memory().total / 1e6
ANSWERS = ("inputs=numbers_in_french", "generation.max_new_tokens=64")


def card(index: int, free: float, total: float = 80 * GB) -> Accelerator:
    return Accelerator(f"cuda:{index}", "a card", (9, 0), free, total)


def needs(weights: float, kv: float = 0.0, sequences: int = 16) -> Estimate:
    return Estimate(weights, kv, 0.0, (), longest=100, sequences=sequences)


def job(*overrides: str) -> Job:
    return job_from_overrides([*overrides])


# ---------------------------------------------------------------- free memory of the device
def test_a_model_must_fit_into_the_free_memory_of_its_gpu() -> None:
    cards = [card(0, 70 * GB), card(1, 5 * GB)]
    model = needs(9 * GB, 1.5 * GB)
    assert too_large(job("device=gpu", "device.index=0"), model, cards) is None
    found = too_large(job("device=gpu", "device.index=1"), model, cards)
    assert found is not None
    assert found.problem == (
        "9.0 GB of weights and 1.5 GB of KV cache do not fit into 5.0 GB free on cuda:1 (of 80.0 GB)"
    )
    assert too_large(job("device=gpu", "device.index=1", "runtime.memory_check=off"), model, cards) is None


def test_nothing_is_refused_if_the_gpu_is_unknown() -> None:
    assert too_large(job("device=gpu"), needs(10**9), []) is None
    assert too_large(job("device=gpu", "backend=openvino"), needs(10**9), [card(0, 1)]) is None


def test_gpus_that_share_a_model_count_together_with_cpu_memory() -> None:
    cards = [card(0, 70 * GB), card(1, 70 * GB)]
    assert too_large(job("device=auto"), needs(130 * GB), cards) is None
    assert spread(job("device=auto"), needs(130 * GB), cards) is None
    found = too_large(job("device=auto"), needs(141 * GB + MACHINE), cards)
    assert found is not None and "140.0 GB free on cuda:0, cuda:1 and " in found.problem
    slow = spread(job("device=auto"), needs(141 * GB), cards)
    assert slow is not None and "part of the model will be in CPU memory, which is slow" in slow.problem
    assert "141.0 GB of weights, 140.0 GB free on cuda:0, cuda:1" in slow.problem


def test_auto_without_a_gpu_is_the_cpu() -> None:
    assert too_large(job("device=auto"), needs(MACHINE / 2), []) is None
    found = too_large(job("device=auto"), needs(MACHINE * 2), [])
    assert found is not None and "GB of CPU memory" in found.problem


# ---------------------------------------------------------------- hints
@pytest.mark.parametrize("device", ["gpu", "cpu"])
def test_the_largest_batch_that_fits_is_suggested(device: str) -> None:
    room = 80 * GB if device == "gpu" else MACHINE
    model = needs(room / 2, room, sequences=16)  # each sequence takes a 16th of it
    found = too_large(job(f"device={device}", "runtime.batch_size=16"), model, [card(0, 80 * GB)])
    assert found is not None
    assert found.hint == "runtime.batch_size=8 is estimated to fit; set runtime.memory_check=warn to try anyway"


def test_each_beam_is_a_sequence() -> None:
    words = ("device=gpu", "generation=beam", "generation.num_beams=4", "runtime.batch_size=4")
    found = too_large(job(*words), needs(40 * GB, 80 * GB, sequences=16), [card(0, 80 * GB)])
    assert found is not None and "runtime.batch_size=2 is estimated to fit" in str(found.hint)


@pytest.fixture
def billion(tmp_path: Path) -> Path:
    """A checkpoint of 10^9 parameters in a sparse file, with a KV cache of 64,000 elements per token."""
    folder = tmp_path / "billion"
    folder.mkdir()
    config = {"num_hidden_layers": 32, "num_attention_heads": 10, "hidden_size": 1000}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * 10**9)
    return folder


def test_a_precision_is_suggested_if_no_batch_size_fits(billion: Path) -> None:
    words = ("model=local", f"model.path={billion}", *ANSWERS, "precision=fp32", "runtime.batch_size=1")
    whole = job("device=gpu", *words)
    expected = estimate_job(whole, load_inputs(whole.inputs))
    assert expected.weights_mb == 4 * GB

    def hint(free: float) -> str:
        found = too_large(whole, expected, [card(0, free)])
        assert found is not None
        return str(found.hint)

    assert hint(2.5 * GB).startswith("precision=bf16 is estimated to fit; ")
    assert hint(1.5 * GB).startswith("precision=int8 is estimated to fit; ")
    assert hint(0.1 * GB).startswith("use a lower precision, a smaller batch or a smaller model; ")


# ---------------------------------------------------------------- querying the devices
def test_only_the_gpus_of_the_jobs_are_queried() -> None:
    with FakeCuda([Card(), Card(), Card()]).installed() as cuda:
        assert devices_for([job("device=cpu"), job("backend=fake", "device=gpu")]) == []
        assert cuda.looked_at == []
        found = devices_for([job("device=gpu", "device.index=2"), job("device=gpu", "device.index=1")])
        assert [one.name for one in found] == ["cuda:2", "cuda:1"]
        assert len(devices_for([job("device=auto")])) == 3


def test_a_sweep_queries_devices_in_a_worker() -> None:
    with FakeCuda([Card(used_by_others=10**9)]).installed() as cuda, WorkerPool() as workers:
        (found,) = workers.devices("pytorch", [job("device=gpu")])
        assert found.name == "cuda:0" and found.free_mb == pytest.approx(80 * 1024**3 / 1e6 - 1000)
        assert cuda.looked_at == []  # nothing was initialized here


def on_card(tiny_gpt2: Path, *more: str) -> list[str]:
    return [
        *("model=local", f"model.path={tiny_gpt2}", "device=gpu", "precision=fp32", "runtime.isolation=inline"),
        *(*ANSWERS, *more),
    ]


def test_a_run_that_exceeds_the_free_gpu_memory_is_refused(tiny_gpt2: Path, tmp_path: Path) -> None:
    with FakeCuda([Card(total=10**9, used_by_others=10**9 - 1000)]).installed():
        overrides = on_card(tiny_gpt2)
        with pytest.raises(ConfigError, match=r"do not fit into 0\.0 GB free on cuda:0 \(of 1\.0 GB\)"):
            run(job(*overrides), tmp_path, JobContext(overrides), NullWatcher())


def sweep(directory: Path, words: Sequence[str], *more: str) -> int:
    return cli.main(["-m", *more, *words, "runtime.seed=1,2", f"hydra.sweep.dir={directory}"])


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_sweep_is_refused_before_it_starts_and_so_is_a_dry_run(
    more: tuple[str, ...], tiny_gpt2: Path, tmp_path: Path, capsys: Any
) -> None:
    with FakeCuda([Card(total=10**9, used_by_others=10**9 - 1000)]).installed():
        assert sweep(tmp_path / "s", on_card(tiny_gpt2), *more) == 2
    assert "GB free on cuda:0 (of 1.0 GB)" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_dry_run_warns_about_jobs_that_may_not_fit(tiny_gpt2: Path, tmp_path: Path, capsys: Any) -> None:
    with FakeCuda([Card(total=10**9, used_by_others=10**9 - 1000)]).installed():
        assert sweep(tmp_path / "s", on_card(tiny_gpt2, "runtime.memory_check=warn"), "--dry-run") == 0
    assert re.search(r"warning: runtime\.seed=2: [\d.]+ GB of weights", capsys.readouterr().out)


def test_prompts_are_not_tokenized_if_the_weights_are_small(tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = job_from_overrides(["model=local", f"model.path={tiny_gpt2}", "precision=fp32"])
    inputs = load_inputs(small.inputs)
    looked: list[str] = []
    monkeypatch.setattr(
        memory_check, "longest_sequence", lambda job, inputs, folder: looked.append(job.device.kind) or 7
    )
    rough = memory_check.estimate_before(small, inputs)
    assert not looked and rough.weights_mb == memory_check.estimate_job(small, inputs).weights_mb
    assert looked.pop() == "cpu"
    on_card = job_from_overrides(["model=local", f"model.path={tiny_gpt2}", "precision=fp32", "device=gpu"])
    assert memory_check.estimate_before(on_card, inputs).longest == 7 and looked == ["gpu"]
