"""Check that torch can compile on this machine: it needs Triton or a C++ compiler, and Python's headers."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which


@dataclass(frozen=True)
class MissingTool:
    """The reason why torch cannot compile on this machine, and a hint about what to install."""

    problem: str
    hint: str


def missing_tool(on_cpu: bool) -> MissingTool | None:
    """Return the missing tool for compiling on the CPU, or on a GPU; None if everything is installed."""
    if not on_cpu and find_spec("triton") is None:
        problem = "compiling on a GPU requires triton, which is not installed"
        return MissingTool(problem, "install a GPU build of torch, which includes it")
    # Triton compiles its launchers with a C compiler.
    variable, language, known = ("CXX", "C++", ("g++", "clang++")) if on_cpu else ("CC", "C", ("gcc", "clang"))
    compiler = os.environ.get(variable) or next(filter(which, known), None)
    if not compiler or which(compiler.split()[0]) is None:
        place = "on the CPU" if on_cpu else "on a GPU"
        return MissingTool(f"compiling {place} requires a {language} compiler; none found", _install(known[0]))
    if not (_headers() / "Python.h").is_file():
        return MissingTool(
            f"compiling requires Python's headers, but {_headers()}/Python.h does not exist", _install("python3-dev")
        )
    return None


def _headers() -> Path:
    scheme = sysconfig.get_default_scheme()
    return Path(sysconfig.get_paths("posix_prefix" if scheme == "posix_local" else scheme)["include"])  # like Triton


def _install(package: str) -> str:
    return f"install it (Debian: apt install {package})"
