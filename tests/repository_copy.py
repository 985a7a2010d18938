"""A copy of the repository with files added to it, as somebody who adds a check or a tracker has it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from command_line import ROOT

COPIED = ("hforch", "conf", "docs", "tests", "pyproject.toml")
EXAMPLE = re.compile(r"^```\w+\n# (?P<path>\S+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def copy_with(files: Mapping[str, str], folder: Path) -> Path:
    """Copy what tests need of the repository, and add files to it.

    Args:
        files: texts by path.
    """
    copy = folder / "copy"
    copy.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name)
        else:
            shutil.copy2(ROOT / name, copy / name)
    for path, text in files.items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text(text, encoding="utf-8")
    return copy


def hforch_of(copy: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the hforch of a copy in its parent folder; it ends with this code, and prints no traceback."""
    done = python_of(copy, "-m", "hforch", *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def python_of(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python that imports the hforch of a copy, in the parent folder of the copy."""
    command, env = [sys.executable, *arguments], environment_of(copy)
    return subprocess.run(command, cwd=copy.parent, env=env, capture_output=True, text=True, check=False, timeout=300)


def environment_of(copy: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(copy)}


def examples(page: Path, heading: str) -> dict[str, str]:
    """Return the files that a section of a page shows: blocks of code whose first line is a comment with the path."""
    text = page.read_text(encoding="utf-8")
    section = re.split(r"^##+ ", text.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return {match["path"]: match["text"] for match in EXAMPLE.finditer(section)}
