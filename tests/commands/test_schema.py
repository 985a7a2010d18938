"""hforch schema: JSON Schemas on stdout and as files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hforch.cli import main
from hforch.commands.schema import names


@pytest.mark.parametrize(
    ("words", "title"),
    [([], "hforch job"), (["recipe"], "hforch recipe"), (["sweep"], "hforch sweep.json: one sweep")],
)
def test_a_schema_is_printed(words: list[str], title: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", *words]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == title


def test_all_schemas_are_written(tmp_path: Path) -> None:
    assert main(["schema", "--write", str(tmp_path / "new")]) == 0
    assert {file.stem for file in (tmp_path / "new").iterdir()} == set(names())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipes"], "did you mean recipe?"),
        (["job", "--write", "x"], "omit job"),
        (["--wriet", "x"], "did you mean --write?"),
        (["--write", "/proc/schema"], "cannot write"),
    ],
)
def test_wrong_arguments_exit_with_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", *words]) == 2
    assert said in capsys.readouterr().err


def test_nothing_heavy_is_imported() -> None:
    code = "import sys; from hforch.cli import main; main(['schema', 'recipe']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "hydra", "langchain_core"} & set(done.stderr.split())
