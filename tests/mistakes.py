"""Run hforch with typical mistakes and print its messages: `python tests/mistakes.py`.

    python tests/mistakes.py              all mistakes
    python tests/mistakes.py device gguf  those whose name or command contains one of the words

Each mistake is run with `python -m hforch` in an empty folder. test_mistakes.py runs them too, and checks the exit code
and the messages. `mistaken.py` contains the list.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import tiny_ggufs
import tiny_models
from command_line import run
from hub_server import served

REPOSITORY = Path(__file__).resolve().parents[1]
TIMEOUT_S = 300

# Hides installed modules from Python, to simulate missing packages.
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
    """Resources for mistakes, created on demand: tiny models, a hub on the loopback interface, an empty cache."""

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
        """The same model as an OpenVINO IR with 16-bit weights."""
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
        return self._open.enter_context(served(self.gpt2)).url

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for this repository's hforch, with an unreachable hub and an empty cache."""
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
    """The result of a command: its exit code and output."""

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
        name: a description.
        command: the arguments of `hforch`; `{gpt2}`, `{ir}`, `{gguf}`, `{hub}` and `{here}` are replaced by the paths
            of the workshop and the current folder.
        `says`: expected parts of the output.
        code: the expected exit code.
        files: files to create first, by name; `{gpt2}` and the others are replaced in them too.
        env: environment variables in addition to the workshop's.
        arrange: a further preparation, in the folder and the environment of the command.
        check: a check of the resulting files.
        wrapped: a shell script that runs the command as "$@", such as one that mounts a file system.
        unless: returns why this machine cannot run the mistake, or None.
        heavy: whether it imports torch or OpenVINO, which takes seconds.
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
    """Run a mistake in an empty folder."""

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
    """Return whether a mistake cannot run in a fork of a process that has imported hforch."""
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
    """Return the command approximately as a user would enter it in a shell."""
    env = "".join(f"{name}={value} " for name, value in case.env.items())
    words = [f"'{word}'" if any(sign in word for sign in " $[]{}'\\") else word for word in case.command]
    return f"{env}hforch {' '.join(words)}"


def main(wanted: list[str]) -> int:
    """Print the mistakes with their messages; return 1 if a result is not as expected, else 0."""
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
                console.print(f"   skipped: {reason}", style="yellow", markup=False)
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
    console.print(f"\n{len(chosen)} mistakes, {wrong} with an unexpected result")
    return int(wrong > 0)


def shortened(text: str, lines: int = 8) -> str:
    """Return the first lines of an output."""
    first = text.strip().splitlines()
    return "\n".join([*first[:lines], *(["..."] if len(first) > lines else [])])


def problems_of(case: Case, told: Told) -> list[str]:
    """Return the problems of a result: a wrong exit code, missing messages, an unrequested traceback, wrong files."""
    problems = [f"exit code {told.code}, not {case.code}"] if told.code != case.code else []
    problems += [f"does not print {piece!r}" for piece in case.says if piece not in told.all]
    if "Traceback" in told.all and "HYDRA_FULL_ERROR" not in case.env:
        problems.append("prints a traceback")
    if "internal error" in told.all:
        problems.append("reports an internal error")
    try:
        case.check(told)
    except AssertionError as error:
        problems.append(f"wrong files: {error}")
    return problems


if __name__ == "__main__":
    sys.exit(main([word.lower() for word in sys.argv[1:]]))
