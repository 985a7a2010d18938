"""The memory read bandwidth: measurement, stored values by machine, and `hforch doctor --bandwidth`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hforch import cli
from hforch.machine import bandwidth
from hforch.machine.environment import describe_environment

ENVIRONMENT = {"cpu": {"name": "a cpu", "usable_cores": 2, "logical_cores": 4}, "memory_mb": 8123}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_measured_bandwidth_is_plausible() -> None:
    assert 0.5 < bandwidth.measure(1, size_mb=64) < 2000
    assert 0.5 < bandwidth.measure(2, size_mb=64) < 2000


def test_the_memory_to_read_exceeds_the_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "CACHE_SIZES", tmp_path)
    assert bandwidth.largest_cache_mb() == 0
    for number, shared in enumerate(("0-1", "0-1", "2-3")):
        index = tmp_path / f"cpu{number}" / "cache" / "index3"
        index.mkdir(parents=True)
        (index / "shared_cpu_list").write_text(f"{shared}\n")
        (index / "size").write_text("102400K\n")
    assert bandwidth.largest_cache_mb() == pytest.approx(2 * 104.8576)
    monkeypatch.setattr(bandwidth, "LARGEST_SHARE", 1e6)
    assert bandwidth.memory_to_read_mb() == int(4 * 2 * 104.8576)
    monkeypatch.setattr(bandwidth, "LARGEST_SHARE", 0.0)
    assert bandwidth.memory_to_read_mb() == 1


def test_machines_are_identified_by_cpu_cores_and_memory() -> None:
    assert bandwidth.identity(ENVIRONMENT) == "a cpu, 2 of 4 cores, 8 GB"
    assert bandwidth.identity({"cpu": {"name": "a cpu"}}) is None
    assert bandwidth.identity({"absent": {"cpu": "no"}}) is None


def test_measurements_are_stored_by_machine(own_cache: Path) -> None:
    assert bandwidth.stored(ENVIRONMENT) is None
    bandwidth.store("a cpu, 2 of 4 cores, 8 GB", 12.345, 2)
    bandwidth.store("another", 99.0, 64)
    assert bandwidth.stored(ENVIRONMENT) == 12.35 or bandwidth.stored(ENVIRONMENT) == 12.34
    assert bandwidth.stored(ENVIRONMENT | {"memory_mb": 16000}) is None
    assert set(json.loads((own_cache / "bandwidth.json").read_text())) == {"a cpu, 2 of 4 cores, 8 GB", "another"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a cpu, 2 of 4 cores, 8 GB": 3}', '{"a cpu, 2 of 4 cores, 8 GB": {"gb_per_s": "fast"}}']
)
def test_a_damaged_file_is_ignored(text: str, own_cache: Path) -> None:
    own_cache.mkdir()
    (own_cache / "bandwidth.json").write_text(text)
    assert bandwidth.stored(ENVIRONMENT) is None
    bandwidth.store("a cpu, 2 of 4 cores, 8 GB", 5.0, 1)
    assert bandwidth.stored(ENVIRONMENT) == 5.0


def test_doctor_measures_and_stores_the_bandwidth(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bandwidth, "LEAST_MB", 64)
    monkeypatch.setattr(bandwidth, "CACHES", 0)
    assert cli.main(["doctor", "--bandwidth"]) == 0
    said = capsys.readouterr().out
    value = bandwidth.stored(describe_environment())
    assert value is not None and f"memory read bandwidth: {value:.1f} GB/s" in said
    assert cli.main(["doctor", "--bandwidth", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["gb_per_s"] == bandwidth.stored(describe_environment()) and Path(found["file"]).is_file()


def test_an_unwritable_cache_is_reported(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bandwidth, "measure", lambda threads: 10.0)
    own_cache.write_text("a file")
    assert cli.main(["doctor", "--bandwidth"]) == 1
    assert f"cannot write {bandwidth.file()}" in capsys.readouterr().err
