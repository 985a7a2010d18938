"""Shipped recipes, each run once by whichever test wants it first; others copy what it has left."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from command_line import hforch
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
ALONE = {"step_by_step", "french_numbers"}
"""Recipes of one run; the others are sweeps."""


@dataclass(frozen=True)
class Finished:
    """Attributes:
    directory: of the run or sweep; not to be changed.
    printed: what it has printed.
    """

    directory: Path
    printed: str

    def copy_to(self, directory: Path) -> Path:
        return Path(shutil.copytree(self.directory, directory))


def recipe(name: str, shared: Path) -> Finished:
    """A recipe of `recipes/`, run.

    Args:
        shared: a folder that all processes of this test session see.
    """
    directory, printed = shared / name, shared / f"{name}.txt"
    with FileLock(shared / f"{name}.lock"):
        if not printed.exists():
            kind = "run" if name in ALONE else "sweep"
            done = hforch("run", str(ROOT / "recipes" / f"{name}.yaml"), f"hydra.{kind}.dir={directory}", timeout=900)
            printed.write_text(done.stdout, encoding="utf-8")
    return Finished(directory, printed.read_text(encoding="utf-8"))
