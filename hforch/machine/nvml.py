"""Query NVIDIA's management library (NVML). Only this module imports pynvml (package nvidia-ml-py, extra `cuda`).

NVML numbers GPUs by PCI bus and ignores CUDA_VISIBLE_DEVICES; torch numbers the devices visible to CUDA. They are
matched by UUID. Every failure raises `Absent` with the reason.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from hforch.errors import first_line

# Without any of these there is no NVIDIA driver, and pynvml need not be imported (30 ms). WSL has /dev/dxg.
NODES = (Path("/dev/nvidiactl"), Path("/dev/nvidia0"), Path("/dev/dxg"))
NO_PACKAGE = "nvidia-ml-py is not installed: pip install 'hforch[cuda]'"
NO_DRIVER = "no NVIDIA driver found"
REASONS = {  # by NVML return code (nvmlReturn_t)
    3: "not supported by this GPU or driver",
    4: "no permission",
    9: "the NVIDIA driver is not loaded",
    12: "the NVIDIA driver's libnvidia-ml.so.1 was not found",
    13: "the NVIDIA driver is too old to report this",
    15: "the GPU has fallen off the bus; restart the machine",
    18: "the loaded NVIDIA driver and libnvidia-ml.so.1 have different versions; restart the machine",
}

_lock = threading.Lock()
_process: int | None = None  # id of the process in which NVML is initialized
_failed: Absent | None = None  # why the initialization failed in that process


class Absent(Exception):
    """A value that NVML does not provide; the message is the reason."""


def has_driver() -> bool:
    """Return whether a device file of the NVIDIA driver exists."""
    return any(node.exists() for node in NODES)


def library() -> Any:
    """Return pynvml, initialized in this process.

    Raises:
        Absent: there is no driver, pynvml is not installed, or NVML cannot be initialized.
    """
    global _process, _failed
    with _lock:
        if _process != os.getpid():
            forked, _process, _failed = _process is not None and _failed is None, os.getpid(), None
            try:
                _initialize(forked)
            except Absent as reason:
                _failed = reason
        if _failed is not None:
            raise Absent(str(_failed))
    return sys.modules["pynvml"]


def _initialize(forked: bool) -> None:
    """Load and initialize NVML; after a fork, shut down the inherited state first."""
    if not has_driver():
        raise Absent(NO_DRIVER)
    try:
        found = import_module("pynvml")
    except ImportError:
        raise Absent(NO_PACKAGE) from None
    if forked:
        with suppress(Exception):
            found.nvmlShutdown()
    try:
        found.nvmlInit()
    except Exception as error:
        raise Absent(_why(error)) from error


def ask(function: str, *arguments: Any) -> Any:
    """Call an NVML function by name.

    Raises:
        Absent: the function fails, or the installed pynvml does not have it.
    """
    known = getattr(library(), function, None)
    if known is None:
        raise Absent(f"the installed nvidia-ml-py has no {function}")
    try:
        return known(*arguments)
    except Exception as error:
        raise Absent(_why(error)) from error


def _why(error: Exception) -> str:
    code = getattr(error, "value", None)
    known = REASONS.get(code) if isinstance(code, int) else None
    return known or f"NVML: {first_line(error)}"


# ---------------------------------------------------------------- GPU handles
def handles() -> Iterator[Any]:
    """Yield the handles of this machine's GPUs in NVML's order, without those that cannot be opened.

    Raises:
        Absent: NVML cannot be used.
    """
    for index in range(ask("nvmlDeviceGetCount")):
        with suppress(Absent):
            yield ask("nvmlDeviceGetHandleByIndex", index)


def visible() -> list[Any]:
    """Return the handles of the GPUs that CUDA_VISIBLE_DEVICES selects, without initializing CUDA.

    Indices are interpreted as NVML's, which equal CUDA's with CUDA_DEVICE_ORDER=PCI_BUS_ID or GPUs of the same model.

    Raises:
        Absent: NVML cannot be used.
    """
    there = list(handles())
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return there
    found = []
    for name in map(str.strip, chosen.split(",")):
        if name.isdigit() and int(name) < len(there):
            found.append(there[int(name)])
        elif name.startswith(("GPU-", "MIG-")) and (known := _of_uuid(name, there)) is not None:
            found.append(known)
        else:  # like CUDA, ignore the rest
            break
    return found


def _of_uuid(name: str, there: Sequence[Any]) -> Any:
    """Return the handle for a UUID or a unique UUID prefix, or None."""
    with suppress(Absent):
        return ask("nvmlDeviceGetHandleByUUID", name)
    alike = [handle for handle in there if str(ask("nvmlDeviceGetUUID", handle)).startswith(name)]
    return alike[0] if len(alike) == 1 else None


def handle_of(number: int) -> Any:
    """Return NVML's handle to a torch CUDA device; a MIG instance has its own handle.

    Args:
        number: index of the device: 1 for cuda:1.

    Raises:
        Absent: NVML cannot be used, or does not know the device.
    """
    library()
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        raise Absent("torch has no CUDA device")
    if getattr(torch.version, "hip", None):
        raise Absent("not an NVIDIA GPU")
    try:
        properties = torch.cuda.get_device_properties(number)
    except Exception as error:
        raise Absent(f"torch cannot describe cuda:{number}: {first_line(error)}") from error
    if uuid := str(getattr(properties, "uuid", "") or ""):
        for kind in ("GPU-", "MIG-"):
            with suppress(Absent):
                return ask("nvmlDeviceGetHandleByUUID", kind + uuid.removeprefix(kind))
    if (bus := getattr(properties, "pci_bus_id", None)) is not None:
        domain, device = getattr(properties, "pci_domain_id", 0), getattr(properties, "pci_device_id", 0)
        with suppress(Absent):
            return ask("nvmlDeviceGetHandleByPciBusId", f"{domain:08X}:{bus:02X}:{device:02X}.0")
    there = list(handles())
    if len(there) == 1 and torch.cuda.device_count() == 1:
        return there[0]
    raise Absent(f"none of NVML's {len(there)} GPUs matches cuda:{number}")


def card_of(handle: Any) -> Any:
    """Return the handle to the GPU of a MIG instance; for a GPU, the handle itself."""
    with suppress(Absent):
        answer = ask("nvmlDeviceIsMigDeviceHandle", handle)
        if getattr(answer, "value", answer):  # pynvml returns a ctypes.c_uint here
            return ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle)
    return handle


def is_partitioned(handle: Any) -> bool:
    """Return whether a GPU, or the GPU of a MIG instance, is in MIG mode."""
    with suppress(Absent):
        return bool(ask("nvmlDeviceGetMigMode", card_of(handle))[0])
    return False
