"""hforch doctor: hardware, installed and missing packages, and the cache."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hforch.cli import main
from hforch.commands import _doctor_report
from hforch.commands._cache_entries import age, cache_rows
from hforch.commands.doctor import _features, _memory, _packages, _versions, sections
from hforch.machine import processor as _processor
from hforch.models.cache import Key, obtain
from hforch.utils.progress import Silent
from hforch.utils.tested_versions import SETS, constraints_file, versions

ROOT = Path(__file__).parents[2]
Fill = Callable[[str, str], Path]


@pytest.fixture
def fill() -> Fill:
    """Create a cache entry and return its directory."""

    def contents(folder: Path) -> dict[str, Any]:
        (folder / "weights.bin").write_bytes(bytes(1000))
        return {"what": "a model"}

    return lambda kind, name: obtain(Key(kind, name), contents, Silent()).path


@pytest.fixture(autouse=True)
def an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_doctor_report, "_torch_devices", list)
    monkeypatch.setattr(_doctor_report, "_openvino_devices", list)


def test_json_prints_one_object(no_devices: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {
        *("hforch", "machine", "packages", "versions", "workers"),
        *("torch", "nvidia", "openvino", "cache"),
    }
    assert found["machine"]["memory_gb"] > 0
    assert found["cache"].pop("free_gb") > 0
    assert found["cache"] == {"error": None, "home": str(tmp_path / "cache"), "entries": []}


def test_without_a_terminal_it_prints_plain_lines_that_fit_one_screen(
    no_devices: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["machine", "packages", "devices", "cache"]
    own_lines = [line for line in lines if ", tested with " in line or " not installed" in line]  # of single packages
    assert len(lines) - len(own_lines) < 24
    assert "\x1b" not in "".join(lines)


def test_workers_are_new_processes_where_importing_a_backend_initializes_a_gpu(
    no_devices: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT / "tests/pretended")
    monkeypatch.setattr(_doctor_report, "BACKENDS", {"fake": None, "openvino": None})
    monkeypatch.setattr("hforch.backends.openvino.LIBRARIES", ("openvino", "not_installed.module"))
    for there, libraries, told in (
        (False, ("pretended_gpu",), "started by fork (fast)"),
        (True, (), "started by fork (fast)"),
        (
            True,
            ("pretended_gpu",),
            "started by fork, except on accelerators with fake (importing it initializes torch.cuda): started as new"
            " processes (slower)",
        ),
        (True, ("pretended_crash",), "importing fake crashes the process"),
    ):
        monkeypatch.setattr("hforch.runs.processes.fork_safety.are_present", lambda there=there: there)
        monkeypatch.setattr("hforch.backends.fake.LIBRARIES", libraries)
        assert main(["doctor"]) == 0
        (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  workers")]
        assert told in row
    assert "pretended_gpu" not in sys.modules


def test_a_missing_extra_is_shown_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError, version

    def without_openvino(name: str) -> str:
        if name == "openvino":
            raise PackageNotFoundError(name)
        return "0.1" if name == "rich" else version(name)

    monkeypatch.setattr(_doctor_report, "version", without_openvino)
    rows = {row["name"]: row for row in _doctor_report.packages()}
    assert rows["openvino"]["version"] is None
    assert rows["openvino"]["install"] == "pip install 'hforch[openvino]'"
    assert not rows["rich"]["fits"]
    assert rows["hydra-core"]["fits"]


@pytest.mark.parametrize("error", [ImportError("libcuda.so is not there"), RuntimeError("boom"), OSError("no")])
def test_a_library_that_fails_to_load_is_reported(
    error: Exception, no_devices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise error

    monkeypatch.setattr(_doctor_report, "_torch_devices", broken)
    rows = dict(sections(_doctor_report.inspect_machine())["devices"])
    assert str(error) in rows["torch"]


def test_a_library_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "not" in _doctor_report._devices(_doctor_report._openvino_devices)["error"]


@pytest.mark.slow
def test_the_devices_of_this_machine_are_listed() -> None:
    found = _doctor_report.inspect_machine()
    assert any(device["device"] == "cpu" for device in found["torch"]["devices"])


def test_versions_are_compared_with_the_tested_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import version

    tested = versions("tested")
    assert tested["transformers"] in (ROOT / "constraints.txt").read_text()
    newer = {"pyyaml": "6.0.99"}
    monkeypatch.setattr(_doctor_report, "version", lambda name: newer.get(name.lower()) or version(name))
    rows = {row["name"].lower(): row for row in _doctor_report.packages()}
    assert rows["pyyaml"]["fits"] and not rows["pyyaml"]["as_tested"]
    shown = dict(_packages(list(rows.values())))
    assert shown["pyyaml"] == f"6.0.99, tested with {tested['pyyaml']}"


@pytest.mark.parametrize("name", [name for name in SETS if constraints_file(name)])
def test_doctor_states_which_set_of_versions_is_installed(name: str) -> None:
    rows = [{"name": package, "version": number} for package, number in versions(name).items()]
    found = _doctor_report.tested_set(rows)
    assert found == {"set": name, "differ": []}
    assert _versions(found).startswith(f"the {name}")
    rows[3]["version"] = "0.0.1"
    found = _doctor_report.tested_set([*rows, {"name": "absent", "version": None}])
    assert found == {"set": None, "differ": [rows[3]["name"]]}
    assert _versions(found).startswith(f"not tested together: {rows[3]['name']}; for the tested set: pip install -c")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            "avx2 avx512f avx512_vnni avx512_bf16 amx_tile amx_int8",
            "AVX2, AVX-512 (VNNI, BF16), AMX (INT8); bfloat16 in",
        ),
        ("avx2", "AVX2, no AVX-512, no AMX; bfloat16 is emulated (slow)"),
        ("fp asimd i8mm bf16", "NEON, BF16, I8MM; bfloat16 in hardware"),
        ("", "unknown"),
    ],
)
def test_cpu_features_are_listed(flags: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {flags}\n" if flags else "processor : 0\n")
    monkeypatch.setattr(_processor, "CPUINFO", cpuinfo)
    assert said in _features(_processor.processor())


def test_the_limits_of_a_container_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_processor, "CGROUP", tmp_path)
    assert _processor.quota() is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("400000000\n")
    assert _processor.processor()["usable"] == 1
    found = _processor.memory()
    assert (found["memory_gb"], found["memory_free_gb"]) == (1.0, 0.6)
    assert "limited by the container" in _memory(found)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert _processor.quota() is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "just created"), (60, "1 minute old"), (7300, "2 hours old"), (86_400, "1 day old"), (9e6, "104 days old")],
)
def test_an_age_is_shown_in_its_largest_unit(seconds: float, said: str) -> None:
    assert age(seconds) == said


def test_the_newest_entries_are_shown_and_how_to_list_all(fill: Fill) -> None:
    for number in range(9):
        fill("exports", f"int8-{number}")
    found = _doctor_report.cached()
    assert len(cache_rows(found, None)) == 10
    assert cache_rows(found, 6)[-1] == ("", "and 3 more; hforch doctor --cache lists all")
