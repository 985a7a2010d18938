"""`hforch constraints` prints the path of a file for pip, and runs before the dependencies are installed."""

from __future__ import annotations

import os
import subprocess
import venv
from pathlib import Path

import pytest

from hforch.cli import main
from hforch.utils import tested_versions
from hforch.utils.tested_versions import SETS

ROOT = Path(__file__).parents[2]


def test_it_prints_the_path_without_any_dependency(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    done = subprocess.run(
        [tmp_path / "bare/bin/python", "-m", "hforch", "constraints"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.rstrip("\n") == str(ROOT / "constraints.txt") and not done.stderr


def test_the_newest_versions_and_a_missing_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tested_versions, "SETS", {**SETS, "newest": "constraints.txt"})
    assert main(["constraints", "--newest"]) == 0
    assert capsys.readouterr().out == f"{ROOT / 'constraints.txt'}\n"
    monkeypatch.setattr(tested_versions, "SETS", {**SETS, "newest": "none.txt"})
    assert main(["constraints", "--newest"]) == 2
    assert "this installation has no" in capsys.readouterr().err
