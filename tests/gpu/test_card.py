"""Tests with a real NVIDIA GPU: its description, energy during a job, and other processes on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hforch.cli import main
from hforch.config.compose import job_from_overrides
from hforch.machine import nvidia_cards, nvidia_meter, nvml
from hforch.machine.nvidia_meter import CardMeter
from hforch.machine.nvml import Absent
from hforch.records.record_files import read_record
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

pytestmark = [pytest.mark.gpu, pytest.mark.model]

BUSY = """
import torch
one = torch.rand(4096, 4096, device="cuda:0")
print("busy", flush=True)
while True:
    for _ in range(20):
        one = (one @ one).clamp(0, 1)
    torch.cuda.synchronize()
"""


@pytest.fixture(autouse=True)
def _a_card_of_nvidia() -> None:
    import torch

    if not torch.cuda.is_available() or torch.version.hip:
        pytest.skip("no NVIDIA GPU is available to torch")


def long(model: Path, *more: str, inputs: int = 64, isolation: str = "inline") -> list[str]:
    """Return overrides of a job whose measured phase takes seconds on any GPU; each token runs many small kernels."""
    items = json.dumps([f"Number {index} in French is" for index in range(inputs)])
    return [
        *("model=local", f"model.path={model}", "prompt=raw", f"inputs.items={items}", "generation.ignore_eos=true"),
        *("generation.max_new_tokens=100", "runtime.batch_size=4", f"runtime.isolation={isolation}", *more),
    ]


def do(directory: Path, overrides: list[str], **job_context: Any) -> dict[str, Any]:
    assert (
        run(job_from_overrides(overrides), directory, JobContext(tuple(overrides), **job_context), NullWatcher()) == 0
    )
    return read_record(directory)


def work(seconds: float) -> None:
    """Keep cuda:0 busy."""
    import torch

    one = torch.rand(4096, 4096, device="cuda:0")
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for _ in range(20):
            one = (one @ one).clamp(0, 1)
        torch.cuda.synchronize()


def test_each_device_of_torch_is_found_by_its_uuid() -> None:
    import torch

    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        handle = nvml.handle_of(number)
        assert str(about.uuid) in nvml.ask("nvmlDeviceGetUUID", handle)
        assert nvml.ask("nvmlDeviceGetName", handle) == about.name


def test_the_description_of_the_gpu_is_complete() -> None:
    import torch

    torch.zeros(1, device="cuda:0")
    found = nvidia_cards.accelerators()
    assert len(found) == torch.cuda.device_count()
    about = torch.cuda.get_device_properties(0)
    assert (found[0]["device"], found[0]["name"]) == ("cuda:0", about.name)
    assert found[0]["compute_capability"] == f"{about.major}.{about.minor}"
    assert found[0]["memory_mb"] == pytest.approx(about.total_memory / 1e6, rel=0.1)
    assert {"id", "driver", "cuda_driver"} <= set(found[0])
    now = nvidia_cards.state(nvml.handle_of(0))
    assert now["sm_mhz"] > 0 and 0 < now["temperature_c"] < 120
    assert not any("unknown" in one for one in now["clocks_limited_by"])


def test_the_energy_of_the_measured_phase_is_recorded(tiny_gpt2: Path, tmp_path: Path) -> None:
    record = do(tmp_path, long(tiny_gpt2, "device=gpu"))
    metrics, (card,) = record["metrics"], record["accelerators"]
    assert card["device"] == "cuda:0" and card["energy_by"] in ("counter", "sampled power")
    limit = next(one for one in record["environment"]["accelerators"] if one["device"] == "cuda:0")["power_limit_w"]
    assert 5 < metrics["power_w"] < 1.1 * limit
    assert metrics["joules_per_token"] == pytest.approx(metrics["energy_j"] / 6400, rel=1e-3)
    assert metrics["energy_j"] / metrics["power_w"] == pytest.approx(metrics["measured_s"], rel=0.2)
    assert card["begin"]["sm_mhz"] > 0 and card["end"]["temperature_c"] > 0


def test_energy_is_also_recorded_in_a_worker_process(tiny_gpt2: Path, tmp_path: Path) -> None:
    nvml.ask("nvmlDeviceGetCount")  # initialize NVML in this process, from which the worker may be forked
    assert do(tmp_path, long(tiny_gpt2, "device=gpu", isolation="process"))["metrics"]["energy_j"] > 0


def test_sampled_power_agrees_with_the_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_counter(name: str, *arguments: Any) -> Any:
        if name == "nvmlDeviceGetTotalEnergyConsumption":
            raise Absent("hidden for this test")
        return nvml.ask(name, *arguments)

    work(2.0)  # newer GPUs report the mean power of the last second
    powers = []
    for asked in (nvml.ask, without_counter):
        monkeypatch.setattr(nvidia_meter, "ask", asked)
        meter = CardMeter(["cuda:0"])
        meter.begin()
        work(3.0)
        seen = meter.end()
        assert seen.energy_j is not None, seen.why_not
        powers.append(seen.energy_j / seen.seconds)
    assert powers[0] == pytest.approx(powers[1], rel=0.15)


@contextmanager
def beside() -> Iterator[None]:
    """Run another process that computes on cuda:0."""
    other = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "busy\n"
        yield
    finally:
        other.kill()
        other.wait()
        assert other.stdout is not None
        other.stdout.close()


def test_another_process_on_the_gpu_is_recorded(
    tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = do(tmp_path / "alone", long(tiny_gpt2, "device=gpu"))
    with beside():
        # The other process is a child of this one, so it would count as part of the job.
        monkeypatch.setattr(nvidia_meter, "own_processes", lambda: frozenset({os.getpid()}))
        shared = do(tmp_path / "shared", long(tiny_gpt2, "device=gpu"))
    (card,) = shared["accelerators"]
    if "other_processes" in card.get("absent", {}):  # a container hides them
        assert card["absent"]["other_processes"]
        return
    assert "used cuda:0 at the same time" in shared["shared_accelerator"]
    assert card["other_processes"]["computing"] >= 1
    number = alone["accelerators"][0]["other_processes"]["number"]
    assert card["other_processes"]["number"] == number + 1


def test_a_job_on_the_cpu_does_not_initialize_cuda_but_lists_the_gpu(tiny_gpt2: Path, tmp_path: Path) -> None:
    import torch

    overrides = long(tiny_gpt2, "device=cpu", inputs=2)
    program = f"""
import sys
from hforch.config.compose import job_from_overrides
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher
from pathlib import Path
code = run(job_from_overrides({overrides!r}), Path({str(tmp_path)!r}), JobContext(), NullWatcher())
print(code, sys.modules["torch"].cuda.is_initialized())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.splitlines()[-1:] == ["0 False"], done.stderr
    record = read_record(tmp_path)
    assert torch.cuda.get_device_properties(0).name in [one["name"] for one in record["environment"]["accelerators"]]
    assert record["metrics"].get("energy_of", ["package-0"])[0].startswith("package")


def test_doctor_lists_the_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["nvidia"]["error"] is None
    assert torch.cuda.get_device_properties(0).name in [card["name"] for card in found["nvidia"]["cards"]]
    assert main(["doctor"]) == 0
    assert "nvidia 0" in capsys.readouterr().out


def test_the_energy_of_two_gpus_is_summed(tiny_gpt2: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.device_count() < 2:
        pytest.skip("requires two GPUs")
    record = do(tmp_path, long(tiny_gpt2, "device=auto", "device.device_map=balanced"))
    energies = [card["energy_j"] for card in record["accelerators"]]
    assert len(energies) == 2
    assert record["metrics"]["energy_j"] == pytest.approx(sum(energies), abs=0.01)
