"""Workers of a backend whose libraries initialize a GPU when imported; the GPU is pretended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from at_terminal import python_at_terminal
from pretending import FAKE, PRETENDED, ROOT, environment, python, run

from hforch.errors import HforchError
from hforch.records.record_files import read_record, read_samples
from hforch.runs.processes import spawn

pytestmark = pytest.mark.processes

GPU = (*FAKE, "device=gpu")
SLOW = ("backend.token_s=0.1", "generation.max_new_tokens=8")
FORKED, SPAWNED = {"start": "fork"}, {"start": "spawn", "because": ["torch.cuda"]}
REINITIALISED = "Cannot re-initialize CUDA in forked subprocess"


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that starts a run without waiting for it."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*words: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "hforch", *words, f"hydra.run.dir={tmp_path / 'run'}"]
        begun.append(
            subprocess.Popen(
                command,
                cwd=tmp_path,
                env=environment(**env),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return begun[-1]

    yield begin
    for one in begun:
        one.kill()
        one.communicate()


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    for _ in range(600):
        if found := condition():
            return found
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen within a minute")


def worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the child of the fork server."""

    def workers() -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):  # the process that reads the inputs may have exited
            return [worker for one in psutil.Process(process.pid).children() for worker in one.children()]
        return []

    found: list[psutil.Process] = wait_for(workers, "a worker")
    return found[0]


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def samples_in(folder: Path) -> int:
    return len(list(read_samples(folder / "run")))


# ---------------------------------------------------------------- which workers are spawned
def test_a_fork_cannot_use_what_its_fork_server_has_initialized(tmp_path: Path) -> None:
    done = run(tmp_path, *GPU, PRETENDED_FORK="1")
    assert done.returncode == 1
    record = read_record(tmp_path / "run")
    assert (record["process"], record["error"]["message"]) == (FORKED, REINITIALISED)


def test_a_gpu_job_runs_in_a_spawned_worker(tmp_path: Path) -> None:
    done = run(tmp_path, *GPU)
    assert done.returncode == 0, done.stderr
    assert read_record(tmp_path / "run")["process"] == SPAWNED
    texts = [sample["text"] for sample in read_samples(tmp_path / "run")]
    assert run(tmp_path, *GPU, "runtime.isolation=inline", "--force").returncode == 0
    assert read_record(tmp_path / "run")["process"] == {"start": "inline"}
    assert [sample["text"] for sample in read_samples(tmp_path / "run")] == texts


@pytest.mark.parametrize("words", [("device=cpu",), ("device=openvino", "device.name=CPU")])
def test_a_cpu_job_runs_in_a_fork(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(tmp_path, *FAKE, *words, PRETENDED_FORK="" if "device=cpu" in words else "1")
    assert read_record(tmp_path / "run")["process"] == FORKED
    assert (done.returncode == 0) is ("device=cpu" in words)  # the pretended GPU is used for all but device=cpu


@pytest.mark.model
@pytest.mark.parametrize(("device", "process"), [("auto", SPAWNED), ("cpu", FORKED)])
def test_torch_that_initializes_an_accelerator_when_imported(
    tmp_path: Path, tiny_gpt2: Path, device: str, process: dict[str, Any]
) -> None:
    words = ("model=local", f"model.path={tiny_gpt2}", f"device={device}", "generation.max_new_tokens=3")
    done = run(tmp_path, *words, PRETENDED_TORCH="1")
    assert done.returncode == 0, done.stderr
    assert read_record(tmp_path / "run")["process"] == process


def test_a_sweep_loads_each_model_once_in_workers_of_both_kinds(tmp_path: Path) -> None:
    words = ("-m", *FAKE, "device=cpu,gpu", "runtime.seed=1,2", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    done = python("-m", "hforch", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = [read_record(tmp_path / "sweep" / name) for name in "0123"]
    assert [one["process"] for one in found] == [FORKED, FORKED, SPAWNED, SPAWNED]
    assert [one["shared_load"] for one in found] == [False, True, False, True]


# ---------------------------------------------------------------- a spawned worker behaves like a fork
def test_the_import_of_libraries_is_shown(tmp_path: Path) -> None:
    out = run(tmp_path, *GPU, PRETENDED_IMPORT="import time; time.sleep(2.5)").stdout
    (took,) = [
        line for line in out.splitlines() if line.startswith("import: backend libraries") and line.endswith(" s)")
    ]
    assert float(took.rpartition("(")[2].removesuffix(" s)")) > 2.5


def test_its_output_goes_to_the_log_without_credentials(tmp_path: Path) -> None:
    says = "print('imported'); import os; os.write(2, b'and below Python: swordfish-123\\n')"
    words = ("hydra.verbose=true", "prompt.template='${oc.env:SECRET_TOKEN} {question}'")
    done = run(tmp_path, *GPU, *words, SECRET_TOKEN="swordfish-123", PRETENDED_IMPORT=says, PRETENDED_LOAD="print(1/3)")
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "run/hforch.log").read_text()
    assert log.startswith("imported\nand below Python: ${oc.env:SECRET_TOKEN}\n")
    assert "0.333" in log
    everything = b"".join(file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file())
    assert b"swordfish" not in everything + done.stdout.encode() + done.stderr.encode()


def test_it_uses_the_logging_configured_by_hydra(tmp_path: Path) -> None:
    told = "import logging; logging.getLogger('mine').info('hello from the worker')"
    assert run(tmp_path, *GPU, PRETENDED_LOAD=told).returncode == 0
    assert "[mine][INFO] hello from the worker" in (tmp_path / "run/hforch.log").read_text()


def test_it_has_the_same_process_state_as_a_fork(tmp_path: Path) -> None:
    """Directory, environment, arguments, paths, standard input, warnings and signals; and no foreign open files."""
    looks = """
import json, os, signal, sys
from pathlib import Path
files = [str(one.readlink()).partition(":")[0] for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
state = {
    "folder": os.getcwd(), "environment": {**os.environ}, "arguments": sys.argv, "path": sys.path,
    "stdin": files[0], "warnings": sys.warnoptions, "optimized": sys.flags.optimize, "umask": os.umask(0o22),
    "group": os.getpgid(0) == os.getpid(), "session": os.getsid(0), "pipes": files.count("pipe"),
    "blocked": [int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, [])], "sockets": files.count("socket"),
}
Path("state.json").write_text(json.dumps(state))
"""
    options = ("-O", "-W", "ignore::ImportWarning", "-m", "hforch")
    found = []
    for device in ("cpu", "gpu"):
        words = (*FAKE, f"device={device}", "hydra.run.dir=run", "--force")
        done = python(*options, *words, cwd=tmp_path, asked="", PRETENDED_LOAD=looks)
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / "state.json").read_text()))
    forked, spawned = found
    files = ("stdin", "pipes", "sockets")  # a fork has more of these, but does not use them
    assert [spawned.pop(one) for one in files] == ["/dev/null", 0, 1]
    assert all(forked.pop(one) is not None for one in files)
    assert spawned["arguments"].pop(forked["arguments"].index("device=cpu")) == "device=gpu"
    forked["arguments"].remove("device=cpu")
    assert spawned == forked


def test_ctrl_c_leaves_a_readable_record(begin: Any, tmp_path: Path) -> None:
    process = begin(*GPU, *SLOW)
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    record = read_record(tmp_path / "run")
    assert (record["status"], record["process"]) == ("interrupted", SPAWNED)
    assert "Traceback" not in out + err + (tmp_path / "run/hforch.log").read_text()


def test_ctrl_c_at_a_terminal_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    with python_at_terminal(["-m", "hforch", *GPU, *SLOW, f"hydra.run.dir={tmp_path / 'run'}"], tmp_path) as child:
        wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
        child.screen.send("\x03")
        child.screen.expect("interrupted")
        assert child.exit_code() == 130
    assert read_record(tmp_path / "run")["status"] == "interrupted"


def test_ctrl_c_during_imports_stops_it_immediately_and_leaves_nothing(begin: Any, tmp_path: Path) -> None:
    process = begin(*GPU, PRETENDED_IMPORT="import time; time.sleep(60)")
    worker = worker_of(process)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted" and "Traceback" not in err
    assert is_gone(worker)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("when", ["importing", "answering"])
def test_it_exits_with_its_parent(begin: Any, tmp_path: Path, when: str) -> None:
    process = begin(*GPU, *SLOW, PRETENDED_IMPORT="import time; time.sleep(60)" if when == "importing" else "")
    worker = worker_of(process)
    if when == "answering":
        wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    process.kill()
    process.communicate()
    wait_for(lambda: is_gone(worker), "the worker's end")


def test_it_exits_with_its_fork_server_and_the_record_shows_why(begin: Any, tmp_path: Path) -> None:
    process = begin(*GPU, *SLOW)
    worker = worker_of(process)
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    worker.parent().kill()
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert is_gone(worker)
    message = read_record(tmp_path / "run")["error"]["message"]
    assert "stopped because its parent process exited" in message
    assert "the process that imports the fake libraries was killed by SIGKILL" in message


@pytest.mark.parametrize(
    ("dies", "told"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            "was killed by SIGKILL, most likely because memory ran out; its log LOG",
        ),
        ("import os; print('dead', flush=True); os._exit(7)", "exited with code 7; its log LOG ends with: dead"),
        ("import sys; sys.exit('no')", 'exited with code 1; its log LOG ends with: SystemExit: no | File "<string>"'),
    ],
)
def test_the_record_shows_how_it_exited(tmp_path: Path, dies: str, told: str) -> None:
    done = run(tmp_path, *GPU, PRETENDED_LOAD=dies)
    assert done.returncode == 1
    record = read_record(tmp_path / "run")
    assert told.replace("LOG", str(tmp_path / "run/hforch.log")) in record["error"]["message"]
    assert record["error"]["message"] in done.stderr.replace("\n", "")
    assert (record["process"], record["status"]) == (SPAWNED, "failed")


def test_the_record_shows_how_it_exited_during_imports(tmp_path: Path) -> None:
    done = run(tmp_path, *GPU, PRETENDED_IMPORT="import os; print('no such driver', flush=True); os._exit(9)")
    assert done.returncode == 1
    message = read_record(tmp_path / "run")["error"]["message"]
    log = tmp_path / "run/hforch.log"
    assert message == f"the worker process exited with code 9; its log {log} ends with: no such driver"
    assert log.read_text() == "no such driver\n"


def test_a_worker_that_dies_fails_only_its_job(tmp_path: Path) -> None:
    dies = "import os\nif job.runtime.seed == 1: os._exit(3)"
    words = ("-m", *GPU, "hydra.sweep.dir=sweep", "runtime.seed=1,2")
    done = python("-m", "hforch", *words, cwd=tmp_path, PRETENDED_LOAD=dies)
    assert done.returncode == 1
    assert [read_record(tmp_path / "sweep" / name)["status"] for name in "01"] == ["failed", "ok"]
    assert "exited with code 3" in done.stdout + done.stderr


# ---------------------------------------------------------------- the caller
SCRIPT = f"""
import sys
print("the program begins", flush=True)
RAN = True
from hforch.cli import main
code = main([{", ".join(map(repr, (*GPU, "hydra.run.dir=run")))}])
print("the program ends with", code)
"""


@pytest.mark.parametrize("way", ["a file without a guard", "standard input", "-c"])
def test_the_callers_program_is_not_run_again(tmp_path: Path, way: str) -> None:
    (tmp_path / "program.py").write_text(SCRIPT)
    words = {"a file without a guard": ["program.py"], "standard input": ["-"], "-c": ["-c", SCRIPT]}[way]
    done = python(*words, cwd=tmp_path, asked=SCRIPT if way == "standard input" else None)
    assert done.stdout.count("the program begins") == 1
    assert "the program ends with 0" in done.stdout, done.stderr
    assert read_record(tmp_path / "run")["process"] == SPAWNED


@pytest.mark.parametrize(("device", "process"), [("gpu", SPAWNED), ("cpu", FORKED)])
def test_the_caller_may_have_initialized_the_gpu(tmp_path: Path, device: str, process: dict[str, Any]) -> None:
    program = f"import pretended_gpu\n{SCRIPT}".replace("device=gpu", f"device={device}")
    done = python("-c", program, cwd=tmp_path, PRETENDED_FORK="")
    assert "the program ends with 0" in done.stdout, done.stderr
    assert read_record(tmp_path / "run")["process"] == process


def test_hforch_is_imported_from_the_path_of_the_caller(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, {str(PRETENDED)!r}); import sitecustomize"
    )
    command = [sys.executable, "-c", f"{program}\n{SCRIPT}"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    # The worker has no sitecustomize, so it uses no GPU; this only checks that a new Python process finds hforch.
    assert done.returncode == 0, done.stderr
    assert read_record(tmp_path / "run")["process"] == SPAWNED


def test_modules_in_the_working_directory_do_not_shadow_the_standard_library(tmp_path: Path) -> None:
    for name in ("json", "pickle", "socket"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')")
    command = [sys.executable, "-P", "-m", "hforch", *GPU, f"hydra.run.dir={tmp_path / 'run'}"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert read_record(tmp_path / "run")["process"] == SPAWNED


def test_launcher_processes_spawn_workers_too(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = (
        "-m",
        *GPU,
        "runtime.seed=1,2",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "hydra.sweep.dir=sweep",
    )
    done = python("-m", "hforch", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [read_record(tmp_path / "sweep" / name)["process"] for name in "01"] == [SPAWNED, SPAWNED]


@pytest.mark.parametrize("lacks", ["an executable", "an interpreter of its own"])
def test_without_a_python_interpreter_the_error_has_a_hint(lacks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if lacks == "an executable":
        monkeypatch.setattr("multiprocessing.spawn.get_executable", lambda: None)
    else:
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(HforchError, match=r"no Python interpreter\n    runtime\.isolation=inline"):
        spawn.python_command()


def test_a_python_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    program = "import sys, multiprocessing\nmultiprocessing.set_executable('/nowhere/python')\n"
    done = python("-c", program + SCRIPT, cwd=tmp_path)
    assert "the program ends with 1" in done.stdout
    assert "/nowhere/python" in done.stderr
    assert "internal error" not in done.stderr
