"""Energy, clocks and other processes of a job's GPUs, in runs of the fake backend that claim CUDA devices."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_nvml import NO_PERMISSION, FakeCard, install

from hforch.backends import fake
from hforch.config.compose import job_from_overrides
from hforch.machine import nvidia_meter, nvml, rapl
from hforch.machine.nvidia_meter import CardMeter, integral
from hforch.machine.nvidia_processes import count_others
from hforch.records.record_files import read_record
from hforch.report.wording import summary_lines
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

Claim = Callable[..., None]
QUICK = ("backend=fake", "inputs=numbers_in_french", "runtime.isolation=inline", "runtime.batch_size=2")
SLOW = (*QUICK, "backend.token_s=0.01", "generation.max_new_tokens=8")
ME, OTHER = os.getpid(), 1_000_000_000  # OTHER is not the id of a process


@pytest.fixture
def claim(monkeypatch: pytest.MonkeyPatch) -> Claim:
    """Return a function that makes the fake backend claim devices."""
    original = fake.load

    def claim(*devices: str) -> None:
        def load(job: Any, prepared: Any) -> Any:
            loaded = original(job, prepared)
            return replace(loaded, effective=loaded.effective | {"device": list(devices)})

        monkeypatch.setattr(fake, "load", load)

    return claim


@pytest.fixture(autouse=True)
def no_rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's RAPL counters."""
    monkeypatch.setattr(rapl, "ROOT", tmp_path / "no-powercap")


class Notes(NullWatcher):
    """A watcher that records its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def do(directory: Path, *overrides: str, watcher: NullWatcher | None = None, **job_context: Any) -> dict[str, Any]:
    assert (
        run(job_from_overrides(overrides), directory, JobContext(overrides, **job_context), watcher or NullWatcher())
        == 0
    )
    return read_record(directory)


# ---------------------------------------------------------------- energy
def test_the_energy_is_the_increase_of_the_counter(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard(energies=[7_000_000, 7_012_500])])
    claim("cuda:0")
    record = do(tmp_path, *SLOW)
    metrics = record["metrics"]
    assert metrics["energy_j"] == 12.5
    assert metrics["joules_per_token"] == pytest.approx(12.5 / record["totals"]["output_tokens"], abs=1e-6)
    # The phase is slightly longer than the sum of its batches, since samples are written between them.
    assert 0.5 * 12.5 / metrics["measured_s"] < metrics["power_w"] <= 12.5 / metrics["measured_s"]
    assert not {"energy_j", "joules_per_token", "power_w"} & metrics["absent"].keys()
    (card,) = record["accelerators"]
    assert (card["device"], card["energy_j"], card["energy_by"]) == ("cuda:0", 12.5, "counter")
    assert card["begin"] == card["end"]
    assert card["begin"]["sm_mhz"] == 1980
    assert record["environment"]["accelerators"][0]["id"] == card["id"]
    assert "12.5 J (" in summary_lines(record, "there")[0]


def test_the_power_is_that_of_the_measured_phase(tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard(watts=450.0)])
    claim("cuda:0")
    record = do(tmp_path, *SLOW, "backend.load_s=0.3")
    assert record["metrics"]["power_w"] == pytest.approx(450, rel=0.02)
    assert record["metrics"]["energy_j"] < 450 * 2 * record["metrics"]["measured_s"]


def test_the_energy_is_the_sum_over_the_gpus_of_the_job(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = [FakeCard(uuid=f"GPU-{n}", pci=f"00000000:0{n}:00.0", energies=[0, 1000 * 10**n]) for n in range(3)]
    install(monkeypatch, cards)
    claim("0", "2", "cpu")  # as in accelerate's device map
    record = do(tmp_path, *QUICK)
    assert record["metrics"]["energy_j"] == 101.0
    assert [card["device"] for card in record["accelerators"]] == ["cuda:0", "cuda:2"]
    assert "nvmlDeviceGetTotalEnergyConsumption" not in cards[1].asked


def test_without_a_counter_the_power_is_sampled(tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(watts=300.0).fails("nvmlDeviceGetTotalEnergyConsumption")
    install(monkeypatch, [card])
    claim("cuda:0")
    record = do(tmp_path, *SLOW)
    assert record["metrics"]["power_w"] == pytest.approx(300, rel=0.05)
    assert record["accelerators"][0]["energy_by"] == "sampled power"
    seconds = record["metrics"]["energy_j"] / 300
    assert card.asked.count("nvmlDeviceGetPowerUsage") > seconds / nvidia_meter.SAMPLE_S / 3


def test_power_is_integrated_by_the_trapezoidal_rule() -> None:
    assert integral([(0.0, 100.0), (1.0, 300.0), (3.0, 300.0)]) == 200.0 + 600.0
    assert integral([(0.0, 100.0)]) == 0.0


@pytest.mark.parametrize(
    ("energies", "said"),
    [([5_000, 1_000], "reset"), ([5_000, 5_000], "shorter than its update interval")],
)
def test_the_energy_is_absent_and_not_zero_if_the_counter_did_not_increase(
    energies: list[int], said: str, tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard(energies=energies)])
    claim("cuda:0")
    record = do(tmp_path, *QUICK)
    metrics = record["metrics"]
    for name in ("energy_j", "joules_per_token", "power_w"):
        assert name not in metrics
        assert said in metrics["absent"][name]
    assert said in record["accelerators"][0]["absent"]["energy_j"]


def test_the_energy_of_a_gpu_without_counter_and_power_is_absent_with_the_reason(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = FakeCard().fails("nvmlDeviceGetTotalEnergyConsumption", NO_PERMISSION).fails("nvmlDeviceGetPowerUsage")
    install(monkeypatch, [card])
    claim("cuda:0")
    assert do(tmp_path, *QUICK)["metrics"]["absent"]["energy_j"] == "energy counter: no permission"


def test_the_energy_is_absent_if_the_counter_fails_at_the_end(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Lost(FakeCard):
        @property
        def energies(self) -> list[int]:
            self.errors["nvmlDeviceGetTotalEnergyConsumption"] = 15
            return [1000]

        @energies.setter
        def energies(self, _: Any) -> None: ...

    install(monkeypatch, [Lost()])
    claim("cuda:0")
    assert "off the bus" in do(tmp_path, *QUICK)["metrics"]["absent"]["energy_j"]


def test_a_mig_instance_has_no_energy(tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(uuid="GPU-1", mig=True)
    part = FakeCard(uuid="MIG-2", name="NVIDIA H200 MIG 1g.18gb", parent=card)
    from fake_nvml import fake_torch

    install(monkeypatch, [card, part], fake_torch([part]))
    claim("cuda:0")
    record = do(tmp_path, *QUICK)
    assert "partitioned (MIG)" in record["metrics"]["absent"]["energy_j"]
    assert record["environment"]["accelerators"][0]["mig"] is True
    assert "shared_accelerator" not in record


@pytest.mark.parametrize(("devices", "said"), [(["none"], "no NVIDIA GPU was used"), (["cpu"], "no RAPL counters")])
def test_a_job_without_a_gpu_has_no_energy(
    devices: list[str], said: str, tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard()])
    claim(*devices)
    record = do(tmp_path, *QUICK)
    assert said in record["metrics"]["absent"]["energy_j"]
    assert "accelerators" not in record
    assert "J (" not in summary_lines(record, "there")[0]


def test_without_the_package_the_energy_is_absent_with_the_install_command(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard()])
    monkeypatch.setitem(sys.modules, "pynvml", None)
    claim("cuda:0")
    record = do(tmp_path, *QUICK)
    assert record["metrics"]["absent"]["energy_j"] == nvml.NO_PACKAGE
    assert record["accelerators"] == [{"device": "cuda:0", "absent": {"nvml": nvml.NO_PACKAGE}}]


def test_a_failed_meter_does_not_fail_the_job(tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Any:
        raise TypeError("not what was expected")

    install(monkeypatch, [FakeCard()])
    claim("cuda:0")
    for place, name in enumerate(("state", "own_processes")):
        with monkeypatch.context() as patch:
            patch.setattr(nvidia_meter, name, broken)
            record = do(tmp_path / str(place), *QUICK)
        assert record["metrics"]["absent"]["energy_j"] == "TypeError: not what was expected"


def test_a_resumed_job_has_the_energy_per_token_but_not_the_total(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(NullWatcher):
        def sample(self, sample: Any) -> None:
            if sample["index"] == 1:  # the end of the first batch
                raise KeyboardInterrupt

    install(monkeypatch, [FakeCard(energies=[0, 4_000], processes={ME: 900.0, OTHER: 500.0})])
    claim("cuda:0")
    assert run(job_from_overrides(QUICK), tmp_path, JobContext(QUICK), Stopped()) == 130
    interrupted = read_record(tmp_path)
    assert interrupted["metrics"]["energy_j"] == 4.0
    assert "shared_accelerator" in interrupted
    answered = interrupted["totals"]["output_tokens"]
    install(monkeypatch, [FakeCard(energies=[0, 10_000])])
    record = do(tmp_path, *QUICK, resume=True)
    assert "resumed" in record["metrics"]["absent"]["energy_j"]
    new = record["totals"]["output_tokens"] - answered
    assert record["metrics"]["joules_per_token"] == pytest.approx(10 / new, abs=1e-6)
    assert record["accelerators"][0]["energy_j"] == 10.0
    assert record["shared_accelerator"] == interrupted["shared_accelerator"]  # it includes timings of the first run
    again = do(tmp_path, *QUICK, resume=True)
    assert again["metrics"] == record["metrics"]
    assert again["accelerators"] == record["accelerators"]
    assert again["shared_accelerator"] == record["shared_accelerator"]


# ---------------------------------------------------------------- clocks
def test_reduced_clocks_are_a_warning(tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    card = FakeCard(events=[0x4, 0x4, 0x44, 0x1])  # the slowdown ends before the measured phase ends
    install(monkeypatch, [card])
    claim("cuda:0")
    monkeypatch.setattr(nvidia_meter, "LOOK_S", 0.01)
    notes = Notes()
    record = do(tmp_path, *SLOW, watcher=notes)
    (warning,) = [one for one in record["warnings"] if "clocks" in one]
    assert "cuda:0 reduced its clocks during the measurement: thermal slowdown (hardware)" in warning
    assert f"warning: {warning}" in notes.notes
    assert record["accelerators"][0]["slowed_by"] == ["thermal slowdown (hardware)"]


@pytest.mark.parametrize("bits", [0x0, 0x1, 0x2, 0x4, 0x10, 0x100])
def test_a_gpu_at_its_limits_or_idle_is_not_a_warning(
    bits: int, tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard(events=[bits])])
    claim("cuda:0")
    record = do(tmp_path, *QUICK)
    assert not any("clocks" in one for one in record["warnings"])
    assert record["accelerators"][0]["slowed_by"] == []


# ---------------------------------------------------------------- other processes
def test_another_process_on_the_gpu_marks_the_job(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard(processes={ME: 3000.0, OTHER: 500.0, OTHER + 1: None})])
    claim("cuda:0")
    notes = Notes()
    record = do(tmp_path, *QUICK, watcher=notes)
    assert record["shared_accelerator"] == "2 other processes used cuda:0 at the same time"
    assert record["accelerators"][0]["other_processes"] == {"number": 2, "computing": 2, "memory_mb": 500}
    assert any("2 other processes used cuda:0" in one for one in record["warnings"])
    assert any("not ranked by speed or energy" in one for one in notes.notes)


def test_a_short_lived_process_is_detected(tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([{ME: 100.0}, {ME: 100.0}, {ME: 100.0, OTHER: 10.0}])
    install(monkeypatch, [FakeCard(processes=lambda: next(looks, {ME: 100.0}))])
    claim("cuda:0")
    monkeypatch.setattr(nvidia_meter, "LOOK_S", 0.01)
    assert "1 other process used cuda:0" in do(tmp_path, *SLOW)["shared_accelerator"]


def test_own_processes_and_parents_are_not_counted_as_others(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard(processes={ME: 3000.0, os.getppid(): 400.0})])
    claim("cuda:0")
    record = do(tmp_path, *QUICK)
    assert "shared_accelerator" not in record
    assert record["accelerators"][0]["other_processes"] == {"number": 0, "computing": 0, "memory_mb": 0}


def test_a_process_on_another_gpu_is_not_counted(tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    other = FakeCard(uuid="GPU-2", pci="00000000:02:00.0", processes={OTHER: 500.0})
    install(monkeypatch, [FakeCard(processes={ME: 1.0}), other])
    claim("cuda:0")
    assert "shared_accelerator" not in do(tmp_path, *QUICK)


def test_a_process_known_to_be_idle_does_not_mark_the_job(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard(processes={ME: 3000.0, OTHER: 500.0}, computing=[ME])])
    claim("cuda:0")
    record = do(tmp_path, *QUICK)
    assert "shared_accelerator" not in record
    assert record["accelerators"][0]["other_processes"] == {"number": 1, "computing": 0, "memory_mb": 500}


@pytest.mark.parametrize(
    ("seen", "computing", "ours", "expected"),
    [
        ({}, set(), {1}, (0, 0)),
        ({1: 5.0}, set(), {1}, (0, 0)),
        ({1: 5.0, 2: 5.0, 3: 5.0}, set(), {1}, (2, 2)),
        ({1: 5.0, 2: 5.0, 3: 5.0}, {1, 3}, {1}, (2, 1)),
        ({1: 5.0, 2: 5.0}, {2}, {1}, (1, 1)),  # this process is not reported as computing, so reports are incomplete
        ({71: 5.0}, set(), {1}, (0, 0)),  # ids of the host, one of which is this process
        ({71: 5.0, 72: 5.0}, {71}, {1}, (1, 1)),
    ],
)
def test_count_others(
    seen: dict[int, float | None], computing: set[int], ours: set[int], expected: tuple[int, int]
) -> None:
    assert count_others(seen, computing, ours) == expected


@pytest.mark.parametrize(
    ("processes", "parallel", "said"),
    [
        ({}, True, "are not visible"),
        ({}, False, None),
        ({ME: 1.0}, True, None),  # the other jobs use another GPU
        ({ME: 1.0, OTHER: 1.0}, True, "1 other process"),
        ({OTHER: 1.0}, True, None),  # in a container, the only process is this one
        ({OTHER: 1.0, OTHER + 1: 1.0}, True, "1 other process"),
    ],
)
def test_parallel_jobs_are_marked_if_they_share_a_gpu(
    processes: dict[int, float | None],
    parallel: bool,
    said: str | None,
    tmp_path: Path,
    claim: Claim,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, [FakeCard(processes=processes)])
    claim("cuda:0")
    record = do(tmp_path, *QUICK, parallel=parallel)
    assert said in record["shared_accelerator"] if said else "shared_accelerator" not in record


def test_without_nvml_parallel_jobs_may_have_shared_a_gpu(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard()], fails_to_start=12)
    claim("cuda:0")
    assert (
        "possibly also on cuda:0: the NVIDIA driver's"
        in do(tmp_path / "0", *QUICK, parallel=True)["shared_accelerator"]
    )
    assert "shared_accelerator" not in do(tmp_path / "1", *QUICK)


def test_unreadable_processes_are_absent_with_the_reason(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard().fails("nvmlDeviceGetComputeRunningProcesses", NO_PERMISSION)])
    claim("cuda:0")
    record = do(tmp_path, *QUICK)
    assert record["accelerators"][0]["absent"]["other_processes"] == "no permission"


def test_a_hanging_gpu_does_not_block_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard()])
    released = threading.Event()
    meter = CardMeter(["cuda:0"])
    meter.begin()
    monkeypatch.setattr(nvidia_meter, "LONGEST_S", 0.1)
    monkeypatch.setattr(nvidia_meter, "LOOK_S", 0.0)
    monkeypatch.setattr(meter, "_look", lambda card: released.wait(60))
    time.sleep(1.2)  # the thread samples twice a second
    seen = meter.end()
    released.set()
    assert seen.energy_j is None and seen.why_not == "NVML did not respond within 0 s"


def test_the_sampling_thread_ends_with_the_measured_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> Sequence[str]:
        return [thread.name for thread in threading.enumerate()]

    install(monkeypatch, [FakeCard()])
    meter = CardMeter(["cuda:0"])
    meter.begin()
    assert "hforch-cards" in names()
    meter.end()
    assert "hforch-cards" not in names()


def test_a_run_on_a_shared_gpu_is_not_chosen(
    tmp_path: Path, claim: Claim, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hforch import cli

    claim("cuda:0")
    install(monkeypatch, [FakeCard(processes={ME: 1.0})])
    do(tmp_path / "alone", *SLOW)
    install(monkeypatch, [FakeCard(watts=5.0, processes={ME: 1.0, OTHER: 1.0})])
    do(tmp_path / "beside", *QUICK)
    assert cli.main(["compare", str(tmp_path), "--optimize", "tokens_per_s"]) == 0
    told = capsys.readouterr().out
    assert "recommended: job alone" in told and "not ranked: 1 measured on a shared GPU" in told
    assert "energy J" in told and "J/token" in told and "power W" in told
    assert cli.main(["compare", str(tmp_path), "--require", "joules_per_token<=0.001"]) == 3
    assert "joules_per_token was measured on a shared GPU: 1 other process" in capsys.readouterr().out


@pytest.mark.parametrize("parallel", [True, False])
def test_a_failed_measurement_does_not_hide_that_jobs_ran_in_parallel(
    monkeypatch: pytest.MonkeyPatch, parallel: bool
) -> None:
    def broken(*_: object) -> Any:
        raise TypeError("NVML gave None")

    monkeypatch.setattr(nvidia_meter, "handle_of", broken)
    meter = CardMeter(["cuda:0"], parallel)
    meter.begin()
    seen = meter.end()
    assert (seen.energy_j, seen.why_not, seen.gpus) == (None, "TypeError: NVML gave None", [])
    assert ("possibly also on cuda:0: TypeError: NVML gave None" in str(seen.shared)) == parallel
