"""Describe the machine that runs the benchmarks."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("torch", "transformers", "optimum-intel", "openvino", "openvino-genai", "langchain-core", "hydra-core")
NO_PRECISIONS = {"BIN", "EXPORT_IMPORT", "WINOGRAD"}


def machine() -> str:
    """Return the CPU, OpenVINO's precisions on it, the GPUs, and the versions of packages that affect speed."""
    from hforch.machine.environment import cpu_name

    cores = len(os.sched_getaffinity(0))
    parts = [cpu_name(), f"{cores} cores", *_precisions(), *_gpus()]
    return f"{', '.join(parts)}; Python {platform.python_version()}, {', '.join(_versions())}"


def _versions() -> Iterator[str]:
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def _gpus() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def _precisions() -> list[str]:
    try:
        import openvino
    except ModuleNotFoundError:
        return []
    found = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [" ".join(one for one in found if one not in NO_PRECISIONS)]
