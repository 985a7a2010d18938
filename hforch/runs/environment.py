"""What machine and which libraries a run had; for the record."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "hforch",
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "optimum-intel",
    "openvino",
    "openvino-genai",
    "openvino-tokenizers",
    "nncf",
    "langchain-core",
    "langchain-huggingface",
    "hydra-core",
    "torchao",
    "bitsandbytes",
)


def describe_environment() -> dict[str, Any]:
    """Package versions, Python, system, CPU, memory, accelerators, and the git state of the working directory."""
    import psutil

    return {
        "packages": {name: found for name in PACKAGES if (found := installed(name)) is not None},
        "python": platform.python_version(),
        "os": platform.platform(),
        "cpu": {"name": cpu_name(), "logical_cores": os.cpu_count(), "usable_cores": len(os.sched_getaffinity(0))},
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
        "accelerators": _accelerators(),
        "git": git_state(Path.cwd()),
    }


@cache
def installed(package: str) -> str | None:
    """The version of an installed package."""
    if package == "hforch":
        from hforch import __version__

        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_name() -> str:
    """The CPU's own name for itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()


def git_state(folder: Path) -> dict[str, Any] | None:
    """The commit that `folder` is at and whether it has uncommitted changes; None outside a git repository."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=5, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}


def _accelerators() -> list[str]:
    """The names of torch's accelerators, if torch is loaded anyway."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
