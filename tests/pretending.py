"""Run hforch with backend=fake on a simulated GPU, and with libraries that fail on request (`pretended/`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRETENDED = ROOT / "tests/pretended"
FAKE = ("backend=fake", "inputs=numbers_in_french", "runtime.batch_size=1", "runtime.warmup=0")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{PRETENDED}{os.pathsep}{ROOT}", **more}


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "hforch", *words, f"hydra.run.dir={folder / 'run'}", cwd=folder, **env)


def python(*words: str, cwd: Path, asked: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=cwd, env=environment(**env), input=asked, capture_output=True, text=True, timeout=120, check=False
    )
