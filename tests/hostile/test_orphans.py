"""All processes of a run die with the one that the user started, whichever signal kills it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from command_line import ROOT

from hforch.app.launcher_parent import launch
from hforch.errors import HforchError
from hforch.launchers.base import Launcher
from hforch.utils.process_lifetime import python_module

MARK = "HFORCH_TEST_MARK"
ENDING_S = 20.0
SLOW = "backend=fake backend.token_s=0.5 generation.max_new_tokens=200 inputs=numbers_in_french inputs.limit=2"
JOBLIB = "-m runtime.seed=1,2 hydra/launcher=joblib hydra.launcher.n_jobs=2"
LAUNCHED = {"run": ("", 3), "sweep": ("-m runtime.seed=1,2", 3), "joblib": (JOBLIB, 7)}
"""Command-line arguments, and the number of processes while jobs run."""


def marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)
    for process in marked(str(tmp_path)):
        with suppress(psutil.Error):
            process.kill()


def start(mark: str, *command: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), MARK: mark}
    return subprocess.Popen(
        command, cwd=mark, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def launched(kind: str, mark: str) -> subprocess.Popen[bytes]:
    """Start hforch and wait until its jobs run."""
    words, processes = LAUNCHED[kind]
    place = f"hydra.{'run' if kind == 'run' else 'sweep'}.dir=out"
    parent = start(mark, sys.executable, "-m", "hforch", *SLOW.split(), *words.split(), place)
    records = Path(mark, "out")
    jobs = 2 if kind == "joblib" else 1
    assert wait_until(lambda: len([*records.rglob("samples.jsonl")]) >= jobs, 90)
    assert len(marked(mark)) >= processes
    return parent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda one: one.name)
@pytest.mark.parametrize("kind", ["run", "sweep", pytest.param("joblib", marks=pytest.mark.slow)])
def test_no_process_outlives_its_parent(kind: str, number: signal.Signals, mark: str) -> None:
    if kind == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    parent = launched(kind, mark)
    parent.send_signal(number)  # only to this process
    assert parent.wait(ENDING_S) == -number
    assert wait_until(lambda: not marked(mark), ENDING_S), [command_of(one) for one in marked(mark)]


def command_of(process: psutil.Process) -> list[str]:
    """Return the command line of a process, empty if it has ended in the meantime."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


@pytest.mark.slow
def test_joblib_processes_die_if_the_parent_is_killed_while_they_start(mark: str) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    parent = start(mark, sys.executable, "-m", "hforch", *SLOW.split(), *JOBLIB.split(), "hydra.sweep.dir=out")

    def is_starting() -> bool:
        return any("LokyProcess" in " ".join(command_of(one)) for one in marked(mark))

    assert wait_until(is_starting, 60)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not marked(mark), ENDING_S), [command_of(one) for one in marked(mark)]


def test_a_module_process_dies_with_its_parent(mark: str) -> None:
    Path(mark, "sleeping.py").write_text("import sys, time; print(sys.argv, __name__, flush=True); time.sleep(60)")
    program = "import os, subprocess, sys; sys.path.insert(0, sys.argv[1])\n"
    program += "from hforch.utils.process_lifetime import python_module\n"
    program += "os.environ['PYTHONPATH'] = '.'\n"
    program += "subprocess.run(python_module('sleeping', ['a', 'b']), stdout=open('said', 'w'))"
    parent = start(mark, sys.executable, "-c", program, str(ROOT))
    said = Path(mark, "said")
    assert wait_until(lambda: said.exists() and said.read_text().endswith("\n"), 30)
    assert said.read_text().split(maxsplit=1)[1] == "'a', 'b'] __main__\n"
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not marked(mark), ENDING_S)


def test_a_module_does_not_run_if_its_parent_is_already_dead() -> None:
    command = python_module("this", [])
    number = command.index(str(os.getpid()))
    done = subprocess.run([*command[:number], "1", *command[number + 1 :]], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_dead_launcher_process_is_reported_in_one_line(tmp_path: Path) -> None:
    class Dying:
        def launch(self, **_: object) -> None:
            raise RuntimeError("a worker was terminated\nand more")

    with pytest.raises(HforchError, match=r"a worker was terminated\n    to continue the sweep: hforch resume "):
        launch(Dying(), [], tmp_path, None, Launcher())  # type: ignore[arg-type]
