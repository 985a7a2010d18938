"""The record of a job whose worker process has died."""

from __future__ import annotations

from pathlib import Path

import pytest
from pretending import FAKE, python, run

from hforch.records.record_files import read_record
from hforch.runs.processes.crash import WorkerDied

pytestmark = pytest.mark.processes

CRASH = "import ctypes; ctypes.string_at(0)"


def message(folder: Path, program: str) -> str:
    """Return the error if a program ends the process that loads the model; LOG stands for the path of its log."""
    done = run(folder, *FAKE, PRETENDED_LOAD=program)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    record = read_record(folder / "run")
    assert (record["status"], record["exit_code"], record["error"]["type"]) == ("failed", 1, "WorkerDied")
    told = str(record["error"]["message"])
    assert told in done.stderr
    return told.replace(str(folder / "run/hforch.log"), "LOG").removeprefix("the worker process ")


def test_a_signal_with_nothing_in_the_log(tmp_path: Path) -> None:
    assert message(tmp_path, CRASH) == "was killed by SIGSEGV; its log LOG does not show why"


def test_a_signal_with_a_report_of_faulthandler(tmp_path: Path) -> None:
    told = message(tmp_path, f"import faulthandler; faulthandler.enable(2); {CRASH}")
    assert told.startswith(
        'was killed by SIGSEGV; its log LOG ends with: Fatal Python error: Segmentation fault | File "'
    )


def test_an_uncaught_exception(tmp_path: Path) -> None:
    told = message(tmp_path, "class Panic(BaseException): pass\nraise Panic('no kernel image')")
    assert told.startswith("exited with code 1; its log LOG ends with: Panic: no kernel image | File ")


def test_a_library_that_calls_exit(tmp_path: Path) -> None:
    assert "LOG ends with: SystemExit: 0 | File " in message(tmp_path, "import sys; sys.exit(0)")


def test_garbage_in_the_log(tmp_path: Path) -> None:
    writes = "import os; os.write(2, bytes(range(256)) * 99 + b'\\nout of \\x1b[1mmemory\\n' + b'\\xff\\x00' * 999)"
    assert message(tmp_path, f"{writes}; os._exit(4)") == "exited with code 4; its log LOG ends with: out of memory"


def test_a_huge_log(tmp_path: Path) -> None:
    writes = "import os\nfor _ in range(200): os.write(2, b'a line of some length\\n' * 500)\n"
    told = message(tmp_path, f"{writes}os.write(2, b'the very last\\n'); os._exit(4)")
    assert told.endswith("a line of some length | a line of some length | the very last")


def test_the_log_of_an_earlier_attempt_is_not_quoted(tmp_path: Path) -> None:
    program = "import os; from pathlib import Path; again = Path('again').exists(); Path('again').touch()"
    program += "; again or os.write(2, b'of the first attempt\\n'); os._exit(4)"
    assert message(tmp_path, program).endswith("its log LOG ends with: of the first attempt")
    done = python("-m", "hforch", "resume", "run", cwd=tmp_path, PRETENDED_LOAD=program)
    assert done.returncode == 1
    assert "of the first attempt" in (tmp_path / "run/hforch.log").read_text()
    told = read_record(tmp_path / "run")["error"]["message"]
    assert told.endswith(f"exited with code 4; its log {tmp_path / 'run/hforch.log'} does not show why")


def test_credentials_are_not_quoted(tmp_path: Path) -> None:
    words = ("prompt.template='${oc.env:SECRET_TOKEN} {question}'", "hydra.run.dir=run")
    told = "import os; os.write(2, b'refused: swordfish-123\\n'); os._exit(4)"
    done = python("-m", "hforch", *FAKE, *words, cwd=tmp_path, PRETENDED_LOAD=told, SECRET_TOKEN="swordfish-123")
    assert "ends with: refused: ${oc.env:SECRET_TOKEN}" in read_record(tmp_path / "run")["error"]["message"]
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"swordfish" not in everything + done.stdout.encode() + done.stderr.encode()


def test_libraries_that_exit_when_imported(tmp_path: Path) -> None:
    done = run(tmp_path, *FAKE, PRETENDED_LIBRARY="pretended_crash")
    assert done.returncode == 1, done.stdout
    told = read_record(tmp_path / "run")["error"]["message"]
    assert "the process that imports the fake libraries exited with code 3" in told
    assert "ends with: no such instruction" in told
    done = python(
        "-m",
        "hforch",
        "-m",
        *FAKE,
        "hydra.sweep.dir=sweep",
        "runtime.seed=1,2",
        cwd=tmp_path,
        PRETENDED_LIBRARY="pretended_crash",
    )
    assert done.returncode == 1
    assert "internal error" not in done.stderr
    assert [read_record(tmp_path / "sweep" / one)["error"]["message"].count("exited with code 3") for one in "01"] == [
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("code", "told"),
    [(None, "parent process exited"), (0, "exited with code 0"), (-11, "by SIGSEGV"), (-40, "killed by signal 40")],
)
def test_each_kind_of_exit_has_a_message(code: int | None, told: str) -> None:
    assert told in str(WorkerDied(code))
