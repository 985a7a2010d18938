"""Describe the machine and the library versions of a run, for the record."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from hforch.errors import first_line
from hforch.machine.nvidia_cards import accelerators
from hforch.utils.redaction import redacted_line

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
    "nvidia-ml-py",
)
"""Packages whose versions every record states if they are installed."""


def describe_environment(libraries: Iterable[str] = ()) -> dict[str, Any]:
    """Describe packages, Python, system, CPU, memory, accelerators, and the git state of the working directory.

    Never raises: if a part cannot be read, the reason is under `absent`.

    Args:
        libraries: modules that the job's backend imports; the versions of their packages are included.
    """
    found: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, read in _parts(libraries).items():
        try:
            found[name] = read()
        except Exception as error:  # must not fail the job
            absent[name] = reason_of(error)
    return found | ({"absent": absent} if absent else {})


def _parts(libraries: Iterable[str] = ()) -> dict[str, Callable[[], Any]]:
    return {
        "packages": lambda: _versions([*PACKAGES, *packages_of(libraries)]),
        "python": platform.python_version,
        "os": platform.platform,
        "cpu": _cpu,
        "memory_mb": _memory_mb,
        "accelerators": accelerators,
        "git": lambda: git_state(Path.cwd()),
    }


def _versions(packages: Iterable[str]) -> dict[str, str]:
    return {name: found for name in packages if (found := installed(name)) is not None}


def packages_of(libraries: Iterable[str]) -> list[str]:
    """Return the installed packages that provide these modules, except those in PACKAGES, without importing them."""
    modules = {library.partition(".")[0] for library in libraries}
    return sorted({name for module in modules for name in _packages_of(module)} - {*PACKAGES})


@cache
def _packages_of(module: str) -> tuple[str, ...]:
    name = module.replace("_", "-").lower()
    if installed(name) is not None:  # true for most modules, and faster than scanning all packages
        return (name,)
    return tuple(packages_distributions().get(module, ()))


def _cpu() -> dict[str, Any]:
    return {"name": cpu_name(), "logical_cores": os.cpu_count(), "usable_cores": len(os.sched_getaffinity(0))}


def _memory_mb() -> int:
    import psutil

    return round(psutil.virtual_memory().total / 1e6)


def reason_of(error: Exception) -> str:
    """Return the type of an error and the first line of its message."""
    message = first_line(redacted_line(str(error)), 200)
    return ": ".join(filter(None, (type(error).__name__, message)))


@cache
def installed(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    if package == "hforch":
        from hforch import __version__

        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_name() -> str:
    """Return the CPU's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a directory and whether it has uncommitted changes; None outside a git repository."""

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
