"""Energy of CPU packages from RAPL counters, with a fake /sys/class/powercap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_nvml import FakeCard, install

from hforch.backends import fake
from hforch.config.compose import job_from_overrides
from hforch.machine import rapl
from hforch.machine.rapl import PackageMeter
from hforch.metrics.metric import is_on_cpu
from hforch.records.record_files import read_record
from hforch.report.wording import summary_lines
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

RANGE = 262_143_328_850


class Powercap:
    """A fake /sys/class/powercap whose counters increase when `rise` is called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rises: dict[Path, Sequence[int]] = {}

    def zone(self, folder: str, name: str, *readings: int, largest: int = RANGE) -> Path:
        path = self.root / folder
        path.mkdir(parents=True)
        (path / "name").write_text(f"{name}\n")
        (path / "max_energy_range_uj").write_text(f"{largest}\n")
        (path / "energy_uj").write_text(f"{readings[0]}\n")
        self.rises[path / "energy_uj"] = readings[1:]
        return path

    def rise(self) -> None:
        for file, (next_one, *others) in self.rises.items():
            file.write_text(f"{next_one}\n")
            self.rises[file] = others or [next_one]


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Powercap:
    monkeypatch.setattr(rapl, "ROOT", tmp_path / "powercap")
    return Powercap(tmp_path / "powercap")


def measured(powercap: Powercap, parallel: bool = False) -> rapl.EnergyUsed:
    meter = PackageMeter(parallel)
    meter.begin()
    powercap.rise()
    return meter.end()


def test_the_energy_is_the_sum_over_packages_only(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1_000_000, 3_500_000)
    powercap.zone("intel-rapl:0:0", "core", 0, 2_000_000)
    powercap.zone("intel-rapl:0:1", "dram", 0, 9_000_000)
    powercap.zone("intel-rapl:1", "package-1", 5, 1_000_005)
    powercap.zone("intel-rapl:2", "psys", 0, 50_000_000)
    powercap.zone("intel-rapl-mmio:0", "package-0", 0, 2_500_000)
    found = measured(powercap)
    assert (found.energy_j, found.names, found.why_not) == (3.5, ("package-0", "package-1"), None)
    assert found.power_w > 0


def test_a_counter_that_wraps_around_is_continued(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 990_000, 10_000, largest=1_000_000)
    assert measured(powercap).energy_j == pytest.approx(0.02)


def test_a_counter_that_wraps_twice_is_read_in_between(powercap: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rapl, "LOOK_S", 0.001)
    updates = []
    original = rapl.Package.update

    def update(self: rapl.Package) -> None:
        powercap.rise()
        original(self)
        updates.append(self.used_uj)

    monkeypatch.setattr(rapl.Package, "update", update)
    powercap.zone("intel-rapl:0", "package-0", 900_000, 100_000, 900_000, 100_000, 900_000, largest=1_000_000)
    meter = PackageMeter()
    meter.begin()
    while len(updates) < 4:
        pass
    assert meter.end().energy_j == pytest.approx(2.0)


def test_the_reason_for_missing_counters_names_the_searched_folder(powercap: Powercap) -> None:
    found = measured(powercap)
    assert found.energy_j is None and found.why_not is not None
    assert (
        f"no RAPL counters of CPU packages found in {powercap.root}" in found.why_not and "containers" in found.why_not
    )


def test_the_reason_for_an_unreadable_counter_has_the_command_that_allows_access(
    powercap: Powercap, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = powercap.zone("intel-rapl:0", "package-0", 0, 1) / "energy_uj"
    original = Path.read_text

    def read_text(self: Path, *args: Any, **more: Any) -> str:
        if self == counter:  # simulated, since the test may run as root
            raise PermissionError(13, "Permission denied", str(self))
        return original(self, *args, **more)

    monkeypatch.setattr(Path, "read_text", read_text)
    why = measured(powercap).why_not
    assert why == (
        f"only root can read {counter}; to allow all users: sudo chmod a+r {powercap.root}/intel-rapl:*/energy_uj"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [("many", "does not contain a number: 'many'"), ("", "does not contain a number"), ("\xff", "cannot read")],
)
def test_a_counter_without_a_number_is_absent(text: str, said: str, powercap: Powercap) -> None:
    counter = powercap.zone("intel-rapl:0", "package-0", 0, 1) / "energy_uj"
    counter.write_bytes(text.encode("latin-1"))
    why = measured(powercap).why_not
    assert why is not None and said in why


def test_a_counter_that_vanishes_is_absent(powercap: Powercap) -> None:
    counter = powercap.zone("intel-rapl:0", "package-0", 0, 1) / "energy_uj"
    meter = PackageMeter()
    meter.begin()
    counter.unlink()
    found = meter.end()
    assert found.energy_j is None and "cannot read" in str(found.why_not)


def test_a_counter_that_did_not_increase_is_absent_and_not_zero(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 7, 7)
    assert measured(powercap).why_not == rapl.TOO_SHORT


def test_energy_is_absent_if_other_jobs_run_in_parallel(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 0, 1_000_000)
    assert measured(powercap, parallel=True).why_not == rapl.PARALLEL


@pytest.mark.parametrize(
    ("devices", "expected"),
    [(["cpu"], True), (["CPU"], True), ([], False), (["cuda:0"], False), (["cpu", "cuda:0"], False), (["none"], False)],
)
def test_jobs_on_the_cpu_are_recognized(devices: list[str], expected: bool) -> None:
    assert is_on_cpu(devices) is expected


# ---------------------------------------------------------------- in runs
Do = Callable[..., dict[str, Any]]


@pytest.fixture
def do(powercap: Powercap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Do:
    """Return a function that runs the fake backend as if it used the given devices, while the counters increase."""
    original, ended = fake.load, PackageMeter.end

    def do(*devices: str, **job_context: Any) -> dict[str, Any]:
        def load(job: Any, prepared: Any) -> Any:
            loaded = original(job, prepared)
            return replace(loaded, effective=loaded.effective | {"device": list(devices)})

        def end(self: PackageMeter) -> rapl.EnergyUsed:
            powercap.rise()
            return ended(self)

        monkeypatch.setattr(fake, "load", load)
        monkeypatch.setattr(PackageMeter, "end", end)
        words = ("backend=fake", "inputs=numbers_in_french", "runtime.isolation=inline", "backend.token_s=0.005")
        assert run(job_from_overrides(words), tmp_path / "run", JobContext(words, **job_context), NullWatcher()) == 0
        return read_record(tmp_path / "run")

    return do


def test_a_job_on_the_cpu_has_the_energy_of_the_packages(do: Do, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 0, 4_000_000)
    record = do("cpu")
    metrics = record["metrics"]
    assert (metrics["energy_j"], metrics["energy_of"]) == (4.0, ["package-0"])
    assert metrics["joules_per_token"] == pytest.approx(4.0 / record["totals"]["output_tokens"], abs=1e-6)
    assert 0 < metrics["power_w"] <= 4.0 / metrics["measured_s"]
    assert not {"energy_j", "joules_per_token", "power_w"} & metrics["absent"].keys()
    assert "4.0 J (" in summary_lines(record, "there")[0]


def test_a_job_on_a_gpu_has_the_energy_of_gpu_and_packages(
    do: Do, powercap: Powercap, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, [FakeCard(energies=[1_000_000, 1_010_000])])
    powercap.zone("intel-rapl:0", "package-0", 0, 4_000_000)
    metrics = do("cuda:0")["metrics"]
    assert (metrics["energy_j"], metrics["energy_of"]) == (14.0, ["cuda:0", "package-0"])


def test_a_job_on_a_gpu_without_rapl_has_the_energy_of_the_gpu(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, [FakeCard(energies=[1_000_000, 1_010_000])])
    metrics = do("cuda:0")["metrics"]
    assert (metrics["energy_j"], metrics["energy_of"]) == (10.0, ["cuda:0"])


def test_a_job_on_another_device_has_no_energy_instead_of_that_of_the_packages(do: Do, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 0, 4_000_000)
    metrics = do("GPU.0")["metrics"]
    assert metrics["absent"]["energy_j"] == "no NVIDIA GPU was used" and "energy_of" not in metrics


def test_the_record_of_a_parallel_job_has_the_reason_for_absent_energy(do: Do, powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", 0, 4_000_000)
    assert do("cpu", parallel=True)["metrics"]["absent"]["joules_per_token"] == rapl.PARALLEL
