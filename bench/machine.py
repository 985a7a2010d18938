"""The machine that gave the figures."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

PACKAGES = ("torch", "transformers", "optimum-intel", "openvino", "openvino-genai", "langchain-core", "hydra-core")
NO_PRECISIONS = {"BIN", "EXPORT_IMPORT", "WINOGRAD"}


def machine() -> str:
    """Its processor, what OpenVINO can compute in there, and the versions that decide speed."""
    from hforch.runs.environment import cpu_name

    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{cpu_name()}, {cores} cores, {_precisions()}; Python {platform.python_version()}, {versions}"


def _precisions() -> str:
    import openvino

    found = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return " ".join(one for one in found if one not in NO_PRECISIONS)
