"""NVIDIA's management library (NVML): the only module that imports pynvml (package nvidia-ml-py, extra `cuda`).

NVML numbers cards by PCI bus and ignores CUDA_VISIBLE_DEVICES; torch numbers the devices visible to CUDA. They are
matched by UUID. Every failure is an `Absent` with the reason in words.
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

# Without one of these there is no NVIDIA driver, and importing pynvml (30 ms) can be saved; dxg is that of WSL.
NODES = (Path("/dev/nvidiactl"), Path("/dev/nvidia0"), Path("/dev/dxg"))
NO_PACKAGE = "nvidia-ml-py is not installed: pip install 'hforch[cuda]'"
NO_DRIVER = "there is no NVIDIA driver"
REASONS = {  # of NVML's return codes (nvmlReturn_t)
    3: "not supported by this card or driver",
    4: "no permission",
    9: "the NVIDIA driver is not loaded",
    12: "the NVIDIA driver's libnvidia-ml.so.1 was not found",
    13: "the NVIDIA driver is too old for this",
    15: "the card has fallen off the bus: restart the machine",
    18: "the loaded NVIDIA driver and libnvidia-ml.so.1 have different versions: restart the machine",
}

_lock = threading.Lock()
_process: int | None = None  # the one in which NVML is initialised
_failed: Absent | None = None  # why it could not be, in that process


class Absent(Exception):
    """A value that NVML does not provide; the message is the reason."""


def has_driver() -> bool:
    """Return whether an NVIDIA driver's device files exist."""
    return any(node.exists() for node in NODES)


def library() -> Any:
    """Return pynvml, initialised in this process.

    Raises:
        Absent: there is no driver, no pynvml, or it cannot be initialised.
    """
    global _process, _failed
    with _lock:
        if _process != os.getpid():
            forked, _process, _failed = _process is not None and _failed is None, os.getpid(), None
            try:
                _initialise(forked)
            except Absent as reason:
                _failed = reason
        if _failed is not None:
            raise Absent(str(_failed))
    return sys.modules["pynvml"]


def _initialise(forked: bool) -> None:
    """Load and initialise NVML; after a fork, shut down the inherited state first."""
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
    """Call a function of NVML.

    Raises:
        Absent: it fails, or this pynvml has none of that name.
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
    said = REASONS.get(code) if isinstance(code, int) else None
    return said or f"NVML: {str(error).strip() or type(error).__name__}"


# ---------------------------------------------------------------- which card
def handles() -> Iterator[Any]:
    """Iterate over this machine's cards in NVML's order, without those that cannot be opened.

    Raises:
        Absent: NVML cannot be used.
    """
    for index in range(ask("nvmlDeviceGetCount")):
        with suppress(Absent):
            yield ask("nvmlDeviceGetHandleByIndex", index)


def visible() -> list[Any]:
    """Return the handles of the cards that CUDA_VISIBLE_DEVICES selects, without initialising CUDA.

    Numbers are taken as NVML's; they are CUDA's too with CUDA_DEVICE_ORDER=PCI_BUS_ID or cards of one model.

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
        else:  # CUDA ignores the rest too
            break
    return found


def _of_uuid(name: str, there: Sequence[Any]) -> Any:
    """Return the handle of a UUID or unique UUID prefix, else None."""
    with suppress(Absent):
        return ask("nvmlDeviceGetHandleByUUID", name)
    alike = [handle for handle in there if str(ask("nvmlDeviceGetUUID", handle)).startswith(name)]
    return alike[0] if len(alike) == 1 else None


def handle_of(number: int) -> Any:
    """Return NVML's handle of one of torch's CUDA devices; a MIG instance has a handle of its own.

    Args:
        number: index of the device: 1 for cuda:1.

    Raises:
        Absent: NVML cannot be used, or does not know the card.
    """
    library()
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        raise Absent("torch has no CUDA device")
    if getattr(torch.version, "hip", None):
        raise Absent("the GPU is not NVIDIA's")
    try:
        properties = torch.cuda.get_device_properties(number)
    except Exception as error:
        raise Absent(f"torch cannot describe cuda:{number}: {str(error).strip().partition(chr(10))[0]}") from error
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
    raise Absent(f"none of NVML's {len(there)} cards matches cuda:{number}")


def card_of(handle: Any) -> Any:
    """Return the handle of a MIG instance's card; of a card, the handle itself."""
    with suppress(Absent):
        answer = ask("nvmlDeviceIsMigDeviceHandle", handle)
        if getattr(answer, "value", answer):  # pynvml returns a ctypes.c_uint here
            return ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle)
    return handle


def is_partitioned(handle: Any) -> bool:
    """Return whether a card, or a MIG instance's card, is in MIG mode."""
    with suppress(Absent):
        return bool(ask("nvmlDeviceGetMigMode", card_of(handle))[0])
    return False
