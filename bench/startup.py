"""Time from process start to the first token, vs. a bare script that imports, loads and generates.

Weights, and for OpenVINO the exported model, are already cached. It is the time that a user sees: until the process
prints the first character of the answer.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.ratios import Ratio, in_turns
from bench.scale import Scale

BARE = Path(__file__).parent / "bare"
START, GENAI_START, HELP = 1.25, 1.6, 1.3
QUESTION = "What is electroencephalography?"
SHORT = "generation.max_new_tokens=4"


def pytorch(scale: Scale) -> Iterator[Ratio]:
    return measure("pytorch", scale, "backend=pytorch")


def openvino(scale: Scale) -> Iterator[Ratio]:
    return measure("openvino int8", scale, "backend=openvino", "precision=int8")


def openvino_genai(scale: Scale) -> Iterator[Ratio]:
    return measure("openvino_genai int8", scale, "backend=openvino_genai", "precision=int8", target=GENAI_START)


def measure(name: str, scale: Scale, *overrides: str, target: float = START) -> Iterator[Ratio]:
    folder = prepared(*overrides)
    asked = ("prompt=step_by_step", "inputs=eeg", SHORT, "runtime.display=plain")  # as the bare scripts
    words = [sys.executable, "-m", "hforch", *overrides, *asked]
    theirs = [sys.executable, str(BARE / f"generate_{name.split()[0]}.py"), str(folder)]
    after = f"> {QUESTION}\n"

    def ours() -> float:
        with tempfile.TemporaryDirectory() as directory:  # a new directory for each run, as by default
            return until_text([*words, f"hydra.run.dir={directory}/run"], after)

    yield in_turns(
        f"{name}: process start to first token", ours, lambda: until_text(theirs, after), scale.rounds(5), target
    )


def prepared(*overrides: str) -> Path:
    """Return the directory that the bare script loads: the same files that hforch loads."""
    from hforch.backends.base import backend_of
    from hforch.config.compose import job_from_overrides
    from hforch.utils.progress import Silent

    job = job_from_overrides(overrides)
    path = backend_of(job).prepare(job, Silent()).path
    assert path is not None
    return path


def until_text(command: list[str], after: str) -> float:
    """Return the seconds until a process has printed a non-whitespace character after the string `after`."""
    started = time.perf_counter()
    seen, found = "", 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
        assert process.stdout is not None
        while piece := process.stdout.read(1024):
            seen += piece.decode()
            if not found and after in seen and seen.partition(after)[2].strip():
                found = time.perf_counter() - started
    assert process.returncode == 0 and found, f"{command} exited with {process.returncode}: {seen}"
    return found


def help_page(scale: Scale) -> Iterator[Ratio]:
    ours = [sys.executable, "-m", "hforch", "--help"]
    theirs = [sys.executable, str(BARE / "hydra_app.py"), "--help"]
    name = "--help, vs. a trivial Hydra app"
    yield in_turns(name, lambda: whole(ours), lambda: whole(theirs), scale.rounds(15), HELP)


def whole(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started
