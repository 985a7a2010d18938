"""Detection of initialized accelerators and of jobs that may use one."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hforch.config.compose import job_from_overrides
from hforch.runs.processes import fork_safety


@pytest.mark.parametrize(
    ("words", "may"),
    [
        (["device=cpu"], False),
        (["device=gpu"], True),
        (["device=auto"], True),
        (["device=npu"], True),
        (["device=openvino", "device.name=CPU"], False),
        (["device=openvino", "device.name=GPU.1"], True),
        (["device=openvino", "device.name=AUTO"], True),
        (["device=openvino", "device.name='AUTO:CPU'"], False),
        (["device=openvino", "device.name='HETERO:GPU,CPU'"], True),
        (["device=openvino", "device.name='MULTI:CPU,GPU.0'"], True),
        (["device=openvino", "device.name='BATCH:GPU(4)'"], True),
    ],
)
def test_which_jobs_may_use_an_accelerator(words: list[str], may: bool) -> None:
    backend = "openvino" if {"device=npu", "device=openvino"} & {*words} else "pytorch"
    assert fork_safety.may_use(job_from_overrides([*words, f"backend={backend}"])) is may


def test_libraries_other_than_torch_are_detected_by_their_device_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "renderD128"
    node.touch()
    monkeypatch.setattr(fork_safety, "DEVICE_FILE", re.compile(re.escape(str(node))))
    monkeypatch.setitem(sys.modules, "torch", None)
    assert fork_safety.initialized() == []
    with node.open():
        assert fork_safety.initialized() == [str(node)]


@pytest.mark.parametrize(
    "file", ["nvidia0", "nvidiactl", "nvidia-uvm", "dri/renderD128", "kfd", "accel/accel0", "accel0", "dxg"]
)
def test_device_files_of_accelerators_are_recognized(file: str) -> None:
    assert fork_safety.DEVICE_FILE.match(f"/dev/{file}")


@pytest.mark.parametrize(
    "file", ["/dev/null", "/dev/dri/card0", "/home/me/dev/nvidia0", "/dev/shm/nvidia0", "/dev/pts/0"]
)
def test_other_files_are_not_accelerators(file: str) -> None:
    assert not fork_safety.DEVICE_FILE.match(file)


@pytest.mark.parametrize("question", ["is_initialized", "_is_in_bad_fork"])
@pytest.mark.parametrize("device", ["cuda", "xpu"])
def test_each_torch_device_is_checked(device: str, question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        def is_initialized(self) -> bool:
            raise RuntimeError("half imported")

    monkeypatch.setitem(sys.modules, "torch", type("Torch", (), {device: Device(), "cpu": Device()})())
    assert fork_safety.initialized() == []
    monkeypatch.setattr(Device, question, lambda _: True, raising=False)
    assert fork_safety.initialized() == [f"torch.{device}"]


def test_a_query_that_breaks_only_forks_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.cuda.is_available() does that: it initializes nothing, but forks cannot use CUDA afterwards."""
    here = os.getpid()
    cuda = SimpleNamespace(is_initialized=lambda: False, _is_in_bad_fork=lambda: os.getpid() != here)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert fork_safety.initialized() == ["torch.cuda"]
    cuda._is_in_bad_fork = lambda: False
    assert fork_safety.initialized() == []
