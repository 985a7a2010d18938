"""Run hforch as on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import forking
from backends_tested import BACKENDS

ROOT = Path(__file__).resolve().parents[1]
may_load = True
"""Whether the current test is marked `model`; set for each test."""
LOADS_NO_MODEL = (
    *("backend=fake", "--help", "-h", "--cfg", "--info", "--version"),
    *("compare", "report", "freeze", "doctor", "export", "init", "schema"),
)


def run(
    *words: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    cold: bool = False,
    loads: bool | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Return the output and the exit code of `python -m hforch WORDS`.

    Args:
        env: the complete environment; the current one if None.
        cold: start a new Python, as a shell does. Otherwise fork a process that has imported hforch.
        loads: whether that process has also imported the libraries of all backends; None: if a model may be loaded.
    """
    environment = {**(os.environ if env is None else env), "PYTHONPATH": str(ROOT)}
    if cold:
        command = [sys.executable, "-m", "hforch", *words]
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=timeout
        )
    return _server(words, environment, loads).run(words, cwd or Path.cwd(), environment, timeout)


def start(
    *words: str,
    cwd: Path | None = None,
    stdout: int | IO[Any] = subprocess.PIPE,
    stderr: int | IO[Any] = subprocess.PIPE,
) -> forking.Forked:
    """Start `python -m hforch WORDS` without waiting for it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return _server(words, environment, None).begin(words, cwd or Path.cwd(), environment, stdout, stderr)


def _server(words: Sequence[str], environment: Mapping[str, str], loads: bool | None) -> forking.Server:
    if loads is None:
        loads = may_load and not any(word in LOADS_NO_MODEL for word in words)
    return forking.server_for(BACKENDS if loads else (), environment)


def hforch(
    *words: str, code: int = 0, cwd: Path | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Return the output of a command after checking that it exited with this code and printed no traceback."""
    done = run(*words, cwd=cwd, timeout=timeout)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "internal error" not in done.stderr
    return done
