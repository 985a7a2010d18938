"""Look for the device files of GPUs, for hints; no library is imported and no device is opened."""

from __future__ import annotations

from pathlib import Path

NVIDIA = ("dev/nvidiactl", "dev/dxg")  # dxg: the driver of WSL
RENDER_NODES = "dev/dri/renderD*"
ROOT = Path("/")


def has_nvidia_gpu() -> bool:
    """Return whether there is the device file of NVIDIA's driver, or that of WSL."""
    return any((ROOT / name).exists() for name in NVIDIA)


def has_graphics_driver() -> bool:
    """Return whether there is a device file that OpenVINO's GPU plugin may use."""
    return any(ROOT.glob(RENDER_NODES)) or (ROOT / "dev/dxg").exists()
