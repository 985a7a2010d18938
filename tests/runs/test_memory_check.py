"""Whether a model fits into the memory of its device, and what would fit, on fake devices."""

from __future__ import annotations

import json
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


# ---------------------------------------------------------------- what is free on the device decides
def test_a_model_is_held_against_what_is_free_on_its_own_card() -> None:
    cards = [card(0, 70 * GB), card(1, 5 * GB)]
    model = needs(9 * GB, 1.5 * GB)
    assert too_large(job("device=gpu", "device.index=0"), model, cards) is None
    found = too_large(job("device=gpu", "device.index=1"), model, cards)
    assert found is not None
    assert found.problem == (
        "weights of 9.0 GB and a KV cache of 1.5 GB do not fit into the 5.0 GB that are free of 80.0 on cuda:1"
    )
    assert too_large(job("device=gpu", "device.index=1", "runtime.memory_check=off"), model, cards) is None


def test_where_the_card_is_not_known_nothing_is_refused() -> None:
    assert too_large(job("device=gpu"), needs(10**9), []) is None
    assert too_large(job("device=gpu", "backend=openvino"), needs(10**9), [card(0, 1)]) is None


def test_cards_that_share_a_model_count_together_with_the_cpus_memory() -> None:
    cards = [card(0, 70 * GB), card(1, 70 * GB)]
    assert too_large(job("device=auto"), needs(130 * GB), cards) is None
    assert spread(job("device=auto"), needs(130 * GB), cards) is None
    found = too_large(job("device=auto"), needs(141 * GB + MACHINE), cards)
    assert found is not None and "140.0 GB that are free on cuda:0, cuda:1 and the" in found.problem
    slow = spread(job("device=auto"), needs(141 * GB), cards)
    assert slow is not None and "a part of the model will be in the CPU's memory, which is slow" in slow.problem
    assert "141.0 GB of weights, 140.0 GB free on cuda:0, cuda:1" in slow.problem


def test_auto_without_a_card_is_the_cpu() -> None:
    assert too_large(job("device=auto"), needs(MACHINE / 2), []) is None
    found = too_large(job("device=auto"), needs(MACHINE * 2), [])
    assert found is not None and "of this machine" in found.problem


# ---------------------------------------------------------------- what would fit
@pytest.mark.parametrize("device", ["gpu", "cpu"])
def test_the_largest_batch_that_fits_is_suggested(device: str) -> None:
    room = 80 * GB if device == "gpu" else MACHINE
    model = needs(room / 2, room, sequences=16)  # each sequence takes a 16th of it
    found = too_large(job(f"device={device}", "runtime.batch_size=16"), model, [card(0, 80 * GB)])
    assert found is not None
    assert found.hint == "runtime.batch_size=8 fits by the estimate; runtime.memory_check=warn tries all the same"


def test_each_input_has_as_many_sequences_as_there_are_beams() -> None:
    words = ("device=gpu", "generation=beam", "generation.num_beams=4", "runtime.batch_size=4")
    found = too_large(job(*words), needs(40 * GB, 80 * GB, sequences=16), [card(0, 80 * GB)])
    assert found is not None and "runtime.batch_size=2 fits" in str(found.hint)


@pytest.fixture
def billion(tmp_path: Path) -> Path:
    """A checkpoint of 10^9 parameters in a sparse file, and a KV cache of 64,000 numbers a token."""
    folder = tmp_path / "billion"
    folder.mkdir()
    config = {"num_hidden_layers": 32, "num_attention_heads": 10, "hidden_size": 1000}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4 * 10**9)
    return folder


def test_where_no_batch_fits_a_precision_is_suggested_that_does(billion: Path) -> None:
    words = ("model=local", f"model.path={billion}", *ANSWERS, "precision=fp32", "runtime.batch_size=1")
    whole = job("device=gpu", *words)
    expected = estimate_job(whole, load_inputs(whole.inputs))
    assert expected.weights_mb == 4 * GB

    def hint(free: float) -> str:
        found = too_large(whole, expected, [card(0, free)])
        assert found is not None
        return str(found.hint)

    assert hint(2.5 * GB).startswith("precision=bf16 fits by the estimate; ")
    assert hint(1.5 * GB).startswith("precision=int8 fits by the estimate; ")
    assert hint(0.1 * GB).startswith("take a smaller precision, batch or model; ")


# ---------------------------------------------------------------- asking the devices
def test_only_the_cards_that_jobs_are_for_are_looked_at() -> None:
    with FakeCuda([Card(), Card(), Card()]).installed() as cuda:
        assert devices_for([job("device=cpu"), job("backend=fake", "device=gpu")]) == []
        assert cuda.looked_at == []
        found = devices_for([job("device=gpu", "device.index=2"), job("device=gpu", "device.index=1")])
        assert [one.name for one in found] == ["cuda:2", "cuda:1"]
        assert len(devices_for([job("device=auto")])) == 3


def test_a_sweep_lets_a_process_of_its_own_ask_for_devices() -> None:
    with FakeCuda([Card(used_by_others=10**9)]).installed() as cuda, WorkerPool() as workers:
        (found,) = workers.devices("pytorch", [job("device=gpu")])
        assert found.name == "cuda:0" and found.free_mb == pytest.approx(80 * 1024**3 / 1e6 - 1000)
        assert cuda.looked_at == []  # nothing was initialized here


def on_card(tiny_gpt2: Path, *more: str) -> list[str]:
    return [
        *("model=local", f"model.path={tiny_gpt2}", "device=gpu", "precision=fp32", "runtime.isolation=inline"),
        *(*ANSWERS, *more),
    ]


def test_a_run_is_refused_by_what_is_free_on_the_card(tiny_gpt2: Path, tmp_path: Path) -> None:
    with FakeCuda([Card(total=10**9, used_by_others=10**9 - 1000)]).installed():
        overrides = on_card(tiny_gpt2)
        with pytest.raises(ConfigError, match=r"do not fit into the 0\.0 GB that are free of 1\.0 on cuda:0"):
            run(job(*overrides), tmp_path, JobContext(overrides), NullWatcher())


def sweep(directory: Path, words: Sequence[str], *more: str) -> int:
    return cli.main(["-m", *more, *words, "runtime.seed=1,2", f"hydra.sweep.dir={directory}"])


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_sweep_is_refused_before_it_begins_and_a_dry_run_says_the_same(
    more: tuple[str, ...], tiny_gpt2: Path, tmp_path: Path, capsys: Any
) -> None:
    with FakeCuda([Card(total=10**9, used_by_others=10**9 - 1000)]).installed():
        assert sweep(tmp_path / "s", on_card(tiny_gpt2), *more) == 2
    assert "that are free of 1.0 on cuda:0" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_dry_run_says_what_may_not_fit(tiny_gpt2: Path, tmp_path: Path, capsys: Any) -> None:
    with FakeCuda([Card(total=10**9, used_by_others=10**9 - 1000)]).installed():
        assert sweep(tmp_path / "s", on_card(tiny_gpt2, "runtime.memory_check=warn"), "--dry-run") == 0
    assert "warning: runtime.seed=2: weights of" in capsys.readouterr().out


def test_prompts_are_not_looked_at_where_the_weights_are_far_from_filling_the_memory(
    tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
