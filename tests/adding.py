"""hforch with more in it: entries of its packages, options and plugins that a test writes into a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from command_line import ROOT

EXTENDED = """\
from importlib import import_module

for package, folder in {packages!r}.items():
    import_module(package).__path__.append(folder)
"""


def with_files(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Write files of a repository into a folder.

    Args:
        files: texts by path: modules of a package of hforch, options in `conf/`, anything else to be imported.

    Returns:
        an environment in which every Python finds the modules.
    """
    packages = {}
    for path, text in files.items():
        file = folder / ("added" if path.startswith("hforch/") else "") / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        if path.startswith("hforch/"):
            packages[path.rpartition("/")[0].replace("/", ".")] = str(file.parent)
    (folder / "sitecustomize.py").write_text(EXTENDED.format(packages=packages), encoding="utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def run_with(folder: Path, files: Mapping[str, str], *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run hforch in a folder, with files of a repository added to it; it ends with this code, and no traceback."""
    env = with_files(folder, files)
    if (folder / "conf").is_dir():
        words = (*words, f"--config-dir={folder / 'conf'}")
    command = [sys.executable, "-m", "hforch", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done
