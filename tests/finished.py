"""Shipped recipes and sweeps, each run once by the first test that needs it; other tests copy the result."""

from __future__ import annotations

import atexit
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from command_line import hforch
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
ALONE = {"step_by_step", "french_numbers"}
"""Recipes of a single run; all others are sweeps."""


@dataclass(frozen=True)
class Finished:
    """Attributes:
    directory: of the run or sweep; must not be changed.
    printed: the output.
    """

    directory: Path
    printed: str

    def copy_to(self, directory: Path) -> Path:
        return Path(shutil.copytree(self.directory, directory))


def recipe(name: str, shared: Path) -> Finished:
    """Run a recipe of `recipes/`, or return its existing result.

    Args:
        shared: a folder shared by all processes of this test session.
    """
    directory, printed = shared / name, shared / f"{name}.txt"
    with FileLock(shared / f"{name}.lock"):
        if not printed.exists():
            kind = "run" if name in ALONE else "sweep"
            done = hforch("run", str(ROOT / "recipes" / f"{name}.yaml"), f"hydra.{kind}.dir={directory}", timeout=900)
            printed.write_text(done.stdout, encoding="utf-8")
    return Finished(directory, printed.read_text(encoding="utf-8"))


def copy_of_sweep(directory: Path, *words: str) -> None:
    """Copy what `hforch -m WORDS` writes to a directory; equal sweeps run once per process."""
    made = _swept(*words)
    shutil.copytree(made, directory, dirs_exist_ok=True)
    for file in directory.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".yaml"):
            file.write_text(file.read_text("utf-8").replace(str(made), str(directory)), "utf-8")


@cache
def _swept(*words: str) -> Path:
    """Return a sweep that tests must not change."""
    directory = Path(mkdtemp(prefix="hforch-swept-"))
    atexit.register(shutil.rmtree, directory)
    hforch("-m", *words, f"hydra.sweep.dir={directory}")
    return directory
