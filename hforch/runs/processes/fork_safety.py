"""Detect accelerators that this process has initialized, which its forks cannot use."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hforch.config.schema import Job

# Device files of NVIDIA (also under WSL 2), AMD, Intel (OpenVINO's GPU plugin opens a render node) and of NPUs.
DEVICE_FILE = re.compile(r"/dev/(nvidia|kfd$|dri/render|accel|dxg$)")
OF_TORCH = ("cuda", "xpu", "mtia", "hpu", "npu")


def initialized() -> list[str]:
    """Return the accelerators that this process has initialized, such as `torch.cuda` and `/dev/nvidia0`."""
    return [*(_by_torch() or _unusable_in_a_fork()), *sorted(_open_device_files())]


def are_present() -> bool:
    """Return whether this system has device files of accelerators."""
    folders = (Path("/dev"), Path("/dev/dri"))
    with suppress(OSError):
        return any(DEVICE_FILE.match(str(file)) for folder in folders if folder.is_dir() for file in folder.iterdir())
    return False


def may_use(job: Job) -> bool:
    """Return whether a job may use a device other than the CPU."""
    device = job.device
    if device.kind != "openvino":
        return device.kind != "cpu"
    kind, _, parts = str(device.name).partition(":")  # such as GPU.1, AUTO, HETERO:GPU,CPU
    return any(name.upper() != "CPU" for name in re.findall("[A-Za-z]+", parts or kind))


def _by_torch() -> list[str]:
    """Return the torch devices that are initialized in this process or were in the process it was forked from."""
    torch = sys.modules.get("torch")
    devices = {f"torch.{name}": getattr(torch, name, None) for name in OF_TORCH}
    return [name for name, it in devices.items() if _reports(it, "is_initialized") or _reports(it, "_is_in_bad_fork")]


def _unusable_in_a_fork() -> list[str]:
    """Fork this process, and return the torch devices that the fork cannot use.

    torch.cuda.is_available() alone makes CUDA unusable in forks (torch 2.13), without a trace in the process itself.
    """
    if "torch" not in sys.modules:
        return []
    reading_end, writing_end = os.pipe()
    if not (child := os.fork()):
        with suppress(BaseException):
            os.write(writing_end, " ".join(_by_torch()).encode())
        os._exit(0)
    os.close(writing_end)
    with os.fdopen(reading_end) as answer:
        found = answer.read().split()
    os.waitpid(child, 0)
    return found


def _reports(device: Any, question: str) -> bool:
    with suppress(Exception):  # another version of torch, or only partly imported
        return bool(getattr(device, question)())
    return False


def _open_device_files() -> set[str]:
    found = set()
    with suppress(OSError):
        for opened in list(Path("/proc/self/fd").iterdir()):
            with suppress(OSError):  # the descriptor of the listing itself is closed by now
                if DEVICE_FILE.match(target := str(opened.readlink())):
                    found.add(target)
    return found
