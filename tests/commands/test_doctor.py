"""hforch doctor: what is there, what is missing, and how to get it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hforch.cli import main
from hforch.commands import _machine
from hforch.commands.doctor import sections


@pytest.fixture(autouse=True)
def an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_machine, "_torch_devices", list)
    monkeypatch.setattr(_machine, "_openvino_devices", list)


def test_it_is_one_json_object(no_devices: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"hforch", "machine", "packages", "torch", "openvino", "cache"}
    assert found["machine"]["memory_gb"] > 0
    assert found["cache"] == {"error": None, "home": str(tmp_path / "cache"), "entries": []}


def test_it_is_plain_lines_on_one_screen_when_nobody_watches(
    no_devices: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["machine", "packages", "devices", "cache"]
    assert len(lines) < 24
    assert "\x1b" not in "".join(lines)


def test_a_missing_extra_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError, version

    def without_openvino(name: str) -> str:
        if name == "openvino":
            raise PackageNotFoundError(name)
        return "0.1" if name == "rich" else version(name)

    monkeypatch.setattr(_machine, "version", without_openvino)
    rows = {row["name"]: row for row in _machine.packages()}
    assert rows["openvino"]["version"] is None
    assert rows["openvino"]["install"] == "pip install 'hforch[openvino]'"
    assert not rows["rich"]["fits"]
    assert rows["hydra-core"]["fits"]


@pytest.mark.parametrize("error", [ImportError("libcuda.so is not there"), RuntimeError("boom"), OSError("no")])
def test_a_library_that_does_not_load_is_reported(
    error: Exception, no_devices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise error

    monkeypatch.setattr(_machine, "_torch_devices", broken)
    rows = dict(sections(_machine.look())["devices"])
    assert str(error) in rows["torch"]


def test_a_library_that_is_not_installed_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "not" in _machine._devices(_machine._openvino_devices)["error"]


@pytest.mark.slow
def test_the_devices_of_this_machine_are_named() -> None:
    found = _machine.look()
    assert any(device["device"] == "cpu" for device in found["torch"]["devices"])
