"""What people get wrong, and what hforch says then: `python tests/mistakes.py` prints it all as a table.

    python tests/mistakes.py              every mistake
    python tests/mistakes.py device gguf  those whose name or command holds one of the words

Each mistake is made for real, by `python -m hforch` in a folder of its own. test_mistakes.py makes them too, and looks
at the exit code and the words. `mistaken.py` has the list.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import tiny_ggufs
import tiny_models
from command_line import run
from hub_server import Hub

REPOSITORY = Path(__file__).resolve().parents[1]
TIMEOUT_S = 300

# Hides modules from a Python that has them: what is not installed cannot be tried otherwise.
SITECUSTOMIZE = """
import os, sys
HIDDEN = tuple(os.environ.get("HIDE_MODULES", "").split())
class Hiding:
    def __init__(self, finder): self.finder = finder
    def __getattr__(self, name): return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        hidden = name in HIDDEN or name.startswith(tuple(f"{each}." for each in HIDDEN))
        return None if hidden else self.finder.find_spec(name, path, target)
if HIDDEN:
    sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""


class Workshop:
    """What mistakes are made with, when asked for: tiny models, a hub on the loopback interface, an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = ExitStack()
        (folder / "hiding").mkdir()
        (folder / "hiding/sitecustomize.py").write_text(SITECUSTOMIZE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @cached_property
    def gpt2(self) -> Path:
        """A torch checkpoint with a context of 128 tokens."""
        return tiny_models.save_gpt2(self.folder / "gpt2")

    @cached_property
    def ir(self) -> Path:
        """The same as an OpenVINO IR with 16-bit weights."""
        folder = self.folder / "gpt2-ir"
        done = run(
            "export", "-o", str(folder), "model=local", f"model.path={self.gpt2}", env=self.environment, loads=True
        )
        assert done.returncode == 0, done.stderr
        return folder

    @cached_property
    def gguf(self) -> Path:
        return tiny_ggufs.write(self.folder / "tiny.gguf")

    @cached_property
    def hub(self) -> str:
        """The address of a hub that has org/tiny."""
        server = Hub(self.gpt2)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        self._open.callback(server.server_close)
        self._open.callback(server.shutdown)
        return server.url

    @property
    def environment(self) -> dict[str, str]:
        """No hub in reach, no cached models, and this repository's hforch."""
        unwanted = ("HF_", "TRANSFORMERS_", "HYDRA_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        return kept | {
            "PYTHONPATH": str(REPOSITORY),
            "HFORCH_CACHE": str(self.folder / "cache"),
            "HF_HOME": str(self.folder / "hf"),
            "HF_ENDPOINT": "http://127.0.0.1:9",
            "COLUMNS": "200",
        }


@dataclass(frozen=True)
class Told:
    """How it ended: the exit code, and what was printed where."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def all(self) -> str:
        return self.stdout + self.stderr


def no_check(told: Told) -> None: ...


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        name: what was done wrong.
        command: the words after `hforch`; `{gpt2}`, `{ir}`, `{gguf}`, `{hub}` and `{here}` stand for paths of the
            workshop and the folder it is run in.
        says: pieces of what must be said.
        code: the exit code.
        files: written before, by name; `{gpt2}` and the like are filled in there too.
        env: on top of the workshop's environment.
        arrange: what else happens before, in the folder and the environment of the command.
        check: looks at what is left behind.
        wrapped: a shell script that runs the command as "$@"; for file systems of its own.
        unless: tells why it cannot be shown on this machine; None if it can.
        heavy: imports torch or OpenVINO, and so takes seconds.
    """

    name: str
    command: tuple[str, ...]
    says: tuple[str, ...]
    code: int = 2
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    arrange: Callable[[Workshop, Path, dict[str, str]], None] | None = None
    check: Callable[[Told], None] = no_check
    wrapped: str | None = None
    unless: Callable[[], str | None] = lambda: None
    heavy: bool = False


def make(case: Case, workshop: Workshop, folder: Path) -> Told:
    """Make a mistake for real, in an empty folder."""

    def filled(text: str) -> str:
        for name in ("gpt2", "ir", "gguf", "hub"):
            if f"{{{name}}}" in text:
                text = text.replace(f"{{{name}}}", str(getattr(workshop, name)))
        return text.replace("{here}", str(folder))

    env = workshop.environment | {name: filled(value) for name, value in case.env.items()}
    for name, content in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else filled(content).encode())
    words = [filled(word) for word in case.command]
    if case.arrange:
        case.arrange(workshop, folder, env)
    if _needs_its_own_python(case):
        done = _run_alone(case, words, folder, workshop, env)
    else:
        done = run(*words, cwd=folder, env=env, timeout=TIMEOUT_S, loads=case.heavy)
    return Told(done.returncode, done.stdout, done.stderr, folder)


def _needs_its_own_python(case: Case) -> bool:
    """Whether it cannot be shown in a fork of a process that has imported hforch."""
    return case.wrapped is not None or "HIDE_MODULES" in case.env


def _run_alone(
    case: Case, words: Sequence[str], folder: Path, workshop: Workshop, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    if "HIDE_MODULES" in case.env:
        env = env | {"PYTHONPATH": f"{workshop.folder / 'hiding'}{os.pathsep}{env['PYTHONPATH']}"}
    command = [sys.executable, "-m", "hforch", *words]
    if case.wrapped:
        command = ["unshare", "-Urm", "sh", "-c", case.wrapped, "sh", *command]
    return subprocess.run(
        command,
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def shown_command(case: Case) -> str:
    """The command as a person would type it, more or less."""
    env = "".join(f"{name}={value} " for name, value in case.env.items())
    words = [f"'{word}'" if any(sign in word for sign in " $[]{}'\\") else word for word in case.command]
    return f"{env}hforch {' '.join(words)}"


def main(wanted: list[str]) -> int:
    """Print the table; give back 1 if something was not met as it should be."""
    from mistaken import CASES
    from rich.console import Console

    console, wrong = Console(highlight=False, soft_wrap=True), 0
    chosen = [
        case
        for case in CASES
        if not wanted or any(word in f"{case.name} {' '.join(case.command)}".lower() for word in wanted)
    ]
    with tempfile.TemporaryDirectory(prefix="hforch-mistakes-") as scratch, Workshop(Path(scratch)) as workshop:
        for number, case in enumerate(chosen, 1):
            console.print(f"\n[bold]{number}. {case.name}[/]")
            console.print(f"   $ {shown_command(case)}", style="cyan", markup=False)
            if reason := case.unless():
                console.print(f"   not shown here: {reason}", style="yellow", markup=False)
                continue
            folder = Path(scratch, str(number))
            folder.mkdir()
            told = make(case, workshop, folder)
            text = (told.stderr.strip() or shortened(told.stdout)).replace(f"{scratch}/{number}/", "")
            console.print("".join(f"   {line}\n" for line in text.splitlines()), end="", markup=False)
            problems = problems_of(case, told)
            wrong += bool(problems)
            console.print(f"   exit code {told.code}", style="red" if problems else "green", markup=False)
            for problem in problems:
                console.print(f"   WRONG: {problem}", style="red", markup=False)
    console.print(f"\n{len(chosen)} mistakes, {wrong} not met as they should be")
    return int(wrong > 0)


def shortened(text: str, lines: int = 8) -> str:
    """The first lines of what was printed, for the table."""
    first = text.strip().splitlines()
    return "\n".join([*first[:lines], *(["..."] if len(first) > lines else [])])


def problems_of(case: Case, told: Told) -> list[str]:
    """What is not as it should be: the exit code, the words, a traceback where none was asked for, what is left."""
    problems = [f"exit code {told.code}, not {case.code}"] if told.code != case.code else []
    problems += [f"does not say {piece!r}" for piece in case.says if piece not in told.all]
    if "Traceback" in told.all and "HYDRA_FULL_ERROR" not in case.env:
        problems.append("shows a traceback")
    if "internal error" in told.all:
        problems.append("calls it an internal error")
    try:
        case.check(told)
    except AssertionError as error:
        problems.append(f"left behind: {error}")
    return problems


if __name__ == "__main__":
    sys.exit(main([word.lower() for word in sys.argv[1:]]))
