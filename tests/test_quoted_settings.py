"""Every option, key, command and flag that a message or docstring of hforch mentions exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from hforch.commands import command_names
from hforch.config.config_dirs import conf_dir
from hforch.config.keys import groups, known_keys
from hforch.config.shorthand import meaning

SOURCES = Path(__file__).parents[1] / "hforch"
OPTION = re.compile(r"(?<![\w.{/+])(?P<group>[a-z_]+)=(?P<option>[a-z]\w*(?::\d+)?)(?![\w({=])")
KEY = re.compile(r"(?<![\w./{])(?P<key>[a-z_]+\.[a-z_]+(?:\.[a-z_]+)*)=")
COMMAND = re.compile(r"(?<![\w./-])hforch (?P<command>[a-z]+)(?P<rest>[^.;,:()\n]*)")


def texts() -> Iterator[tuple[str, str]]:
    """Yield the string literals of the sources, each with its place; parts of f-strings are separate."""
    for file in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield f"{file.relative_to(SOURCES.parent)}:{node.lineno}", node.value


@cache
def options(group: str) -> frozenset[str]:
    return frozenset(file.stem for file in (conf_dir() / group).glob("*.yaml"))


def test_mentioned_options_exist() -> None:
    found, wrong = 0, []
    for where, text in texts():
        for match in OPTION.finditer(text):
            group, option = match["group"], match["option"]
            if group in groups() and option.islower():
                found += 1
                if option not in options(group) and meaning(group, option) is None:
                    wrong.append(f"{where}: {match[0]}")
    assert not wrong
    assert found > 50


def test_mentioned_keys_exist() -> None:
    found, wrong = 0, []
    for where, text in texts():
        for match in KEY.finditer(text):
            if match["key"].partition(".")[0] in groups():
                found += 1
                if match["key"] not in known_keys():
                    wrong.append(f"{where}: {match[0]}")
    assert not wrong
    assert found > 20


def test_mentioned_commands_and_flags_exist(capsys: pytest.CaptureFixture[str]) -> None:
    found, wrong = 0, []
    for where, text in texts():
        for match in COMMAND.finditer(text):
            command, flags = match["command"], re.findall(r"--[a-z][a-z-]+", match["rest"])
            if command in command_names():
                found += 1
                wrong += [f"{where}: {match[0]}" for flag in flags if flag not in help_of(command, capsys)]
    assert not wrong
    assert found > 30


helps: dict[str, str] = {}


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    if command not in helps:
        with suppress(SystemExit):
            import_module(f"hforch.commands.{command}").main(["--help"])
        helps[command] = capsys.readouterr().out
    return helps[command]
