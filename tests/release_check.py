"""Check that a release can be made: build it, install it into a new environment, and run the README's commands there.

`make release-check` installs all dependencies into the new environment. `--quick`, as in .ci/run, takes them from this
environment, and runs only the commands that take seconds.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
NOT_RELEASED = (".ci", ".github", "outputs")  # tracked, but not part of the sdist
QUICK = ("hforch --help", "hforch constraints", "hforch doctor", "python -m hforch backend=fake")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="use this environment's dependencies, run few commands")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="hforch-release-") as name:
        folder = Path(name)
        problems = version_problems()
        wheel, sdist = build(folder / "dist")
        problems += missing_from(sdist)
        python = installed(folder / "env", wheel, quick)
        problems += failing(QUICK if quick else readme_commands(), python, folder)
    for problem in problems:
        print(f"release-check: {problem}", file=sys.stderr)
    print(f"release-check: {'failed' if problems else 'passed'}")
    return int(bool(problems))


def version_problems() -> list[str]:
    """Return where the version in hforch/__init__.py is not repeated."""
    source = (ROOT / "hforch" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    assert found is not None
    version = found[1]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    problems = []
    if cited != version:
        problems.append(f"CITATION.cff has version {cited}, hforch/__init__.py {version}")
    if not headings or headings[0] not in (version, "Unreleased"):
        problems.append(f"CHANGELOG.md starts with {headings[:1]}, not with {version} or Unreleased")
    return problems


def build(folder: Path) -> tuple[Path, Path]:
    """Build an sdist, and from it a wheel; return both, checked by twine."""
    call([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)])
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    call([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)])
    return wheel, sdist


def missing_from(sdist: Path) -> list[str]:
    """Return the tracked files that an sdist lacks."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {name for name in listed.splitlines() if not name.startswith(NOT_RELEASED)}
    return [f"the sdist lacks {name}" for name in sorted(tracked - there)]


def installed(folder: Path, wheel: Path, quick: bool) -> Path:
    """Return the interpreter of a new environment with the wheel, and its dependencies as README.md installs them."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    call([*pip, "--no-deps", str(wheel)])
    constraints = subprocess.run([folder / "bin" / "hforch", "constraints"], capture_output=True, text=True, check=True)
    if quick:
        place = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        Path(place, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    else:
        call([*pip, "-c", constraints.stdout.strip(), "hforch[all]"])
    return python


def readme_commands() -> list[str]:
    """Return the commands of hforch in README.md, in order."""
    return commands_in((ROOT / "README.md").read_text(encoding="utf-8"))


def blocks(language: str, text: str) -> list[str]:
    """Return the code blocks of a language in a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands_in(text: str) -> list[str]:
    """Return the commands of hforch in a Markdown text, without comments."""
    lines = [line.partition("   #")[0].strip() for block in blocks("console", text) for line in block.splitlines()]
    return [line for line in lines if line.startswith(("hforch", "python -m hforch"))]


def failing(commands: Sequence[str], python: Path, folder: Path) -> list[str]:
    """Run commands in order in an empty directory; return those that fail."""
    problems = []
    directory = folder / "empty"
    directory.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
    for command in commands:
        print(f"$ {command}", flush=True)
        done = subprocess.run(
            shlex.split(command), cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not done.stdout.strip():
            problems.append(f"{command}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    where = subprocess.run(
        [python, "-c", "import hforch; print(hforch.__file__)"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    if not where.startswith(str(folder)):
        problems.append(f"the commands ran {where.strip()}, not the wheel")
    return problems


def call(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"release-check: {shlex.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )


if __name__ == "__main__":
    sys.exit(main())
