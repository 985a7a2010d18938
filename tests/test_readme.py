"""The commands and examples in the documents work."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import run
from finished import recipe
from release_check import blocks, commands_in

from hforch.config.keys import groups

ROOT = Path(__file__).parents[1]
README, CONFIGURATION, SWEEPS, PYTHON = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "docs/configuration.md", "docs/sweeps.md", "docs/python.md")
)


DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[str]:
    return [command for text in (README, CONFIGURATION, SWEEPS) for command in commands_in(text)]


COLD = commands()[:2]
"""Commands for which a new Python process is started, as for a reader; the others run in forks."""


ON_OPENVINO = ("hforch export", "outputs/cost", "winner.yaml")
"""What occurs in commands that need OpenVINO, or the results of such a command, without naming it."""


def marked(command: str) -> Any:
    return pytest.param(command, marks=pytest.mark.openvino if any(one in command for one in ON_OPENVINO) else ())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.mark.slow
@pytest.mark.parametrize("command", [marked(command) for command in commands()])
def test_the_commands_in_the_readme_work_in_order(command: str, folder: Path, shared: Path) -> None:
    words = shlex.split(command)
    words = words[1:] if words[0] == "hforch" else words[3:]
    swept = re.fullmatch(r"run recipes/(\w+)\.yaml hydra\.sweep\.dir=(\S+)", " ".join(words))
    if swept:
        done_before = recipe(swept[1], shared)
        assert done_before.printed.strip()
        done_before.copy_to(folder / swept[2])
        return
    words = [str(ROOT / word) if word.startswith("recipes/") else word for word in words]
    done = run(*words, cwd=folder, timeout=900, cold=command in COLD)
    if "precision=bf16" in command and "does not support bf16" in done.stderr:
        assert done.returncode == 2  # on a processor that lacks it, that is the right answer
        return
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


def test_the_readme_has_commands_and_examples() -> None:
    assert len(commands()) >= 6
    assert len(examples()) == 2


def examples() -> list[str]:
    """Return the complete examples: that of the README, and that of an existing pipeline."""
    return [*blocks("python", README), blocks("python", PYTHON)[-1]]


@pytest.mark.slow
@pytest.mark.parametrize("number", [pytest.param(0, marks=pytest.mark.openvino), 1])
def test_the_library_examples_run(number: int, tiny_gpt2: Path, tmp_path: Path) -> None:
    program = examples()[number].replace("path/to/model", str(tiny_gpt2))
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if number == 0:
        assert "Paris" in done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_between_the_documents_are_valid(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (document.parent / target).exists(), target


def test_the_documents_list_every_option() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", CONFIGURATION, re.MULTILINE))
    for group in set(groups()) - {"tracker", "runtime"}:
        told = set(re.findall(r"`(\w+)`", table[group]))
        assert told == {file.stem for file in (ROOT / "conf" / group).glob("*.yaml")}
