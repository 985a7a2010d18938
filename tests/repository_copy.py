"""A copy of the repository with added files, like that of a contributor who adds a check or a tracker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import forking
from command_line import ROOT

COPIED = ("hforch", "conf", "docs", "recipes", "schema", "tests", "pyproject.toml")
EXAMPLE = re.compile(r"^```\w+\n# (?P<path>\S+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


class Copy:
    """A copy of the parts of the repository that tests need.

    Args:
        files: contents of added or replaced files, by path.
        folder: where the copy is created; its commands run there.

    Attributes:
        path: the copy.
        environment: makes a Python process import the copy's hforch.
    """

    def __init__(self, files: Mapping[str, str], folder: Path) -> None:
        self.path = folder / "copy"
        self.path.mkdir()
        self.environment = {**os.environ, "PYTHONPATH": str(self.path)}
        self._server: forking.Server | None = None
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.path / name)
            else:
                shutil.copy2(ROOT / name, self.path / name)
        for path, text in files.items():
            (self.path / path).parent.mkdir(parents=True, exist_ok=True)
            (self.path / path).write_text(text, encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def hforch(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the copy's hforch; check its exit code, and that it prints no traceback."""
        self._server = self._server or forking.Server((), self.environment)
        environment = {**os.environ, "PYTHONPATH": str(self.path)}
        done = self._server.run(words, self.path.parent, environment, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def python(self, *arguments: str) -> str:
        """Run a Python process that imports the copy's hforch, and return its output."""
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command,
            cwd=self.path.parent,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def pytest(self, *words: str) -> str:
        """Run tests of the copy, and return the output; files are relative to `tests/`."""
        files = [str(self.path / "tests" / word) if ".py" in word else word for word in words]
        options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", f"--rootdir={self.path}")
        return self.python("-m", "pytest", *options, *files)


def examples(page: Path, heading: str) -> dict[str, str]:
    """Return the files in a section of a page: code blocks whose first line is a comment with the path."""
    text = page.read_text(encoding="utf-8")
    section = re.split(r"^##+ ", text.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return {match["path"]: match["text"] for match in EXAMPLE.finditer(section)}
