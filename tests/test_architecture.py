"""Imports point backwards along one datum's walk, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hforch

ROOT = Path(hforch.__file__).parent
WALK = [
    {
        *(
            "datafiles",
            "errors",
            "files",
            "lifetime",
            "logs",
            "paths",
            "progress",
            "redaction",
            "shortage",
            "sinks",
            "streams",
        ),
        *("telemetry", ""),
    },
    {"config"},
    {"models"},
    {"inputs"},
    {"checks"},
    {"backends"},
    {"prompts"},
    {"chain"},
    {"metrics"},
    {"runs"},
    {"compare"},
    {"report"},
    {"app", "commands", "cli", "__main__"},
]
"""The rooms in their order; the root package itself (its version) comes first."""

HEAVY = ["torch", "transformers", "langchain", "langchain_core", "langchain_huggingface", "openvino", "optimum"]


def rank(room: str) -> int:
    return next(number for number, rooms in enumerate(WALK) if room in rooms)


def room_of(file: Path) -> str:
    first = file.relative_to(ROOT).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hforch":
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "hforch")


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_backwards(file: Path) -> None:
    if file.name == "__init__.py" and file.parent == ROOT:
        return  # the library's door, which opens all rooms late
    here = rank(room_of(file))
    forward = [name for name in imported(file) if rank([*name.split("."), ""][1]) > here]
    assert not forward


def test_every_room_is_on_the_walk() -> None:
    assert len(FILES) > 40
    assert {room_of(file) for file in FILES} == set().union(*WALK)


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"], ["--version"], ["--info"], ["run", "--help"]])
def test_showing_something_imports_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    program = f"""
import sys
from hforch.cli import main
try:
    code = main({words!r})
finally:
    print("LOADED", [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "LOADED []" in done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = f"import sys, hforch; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_hydra_and_omegaconf_stop_at_config() -> None:
    for file in FILES:
        if room_of(file) in ("config", "app", "cli"):
            continue
        text = file.read_text(encoding="utf-8")
        assert "import hydra" not in text and "from hydra" not in text and "omegaconf" not in text, file
