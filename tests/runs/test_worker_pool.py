"""Worker processes, tested through the command line."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import command_line
import pexpect
import psutil
import pytest
from at_terminal import python_at_terminal
from forking import Forked

from hforch.config.compose import job_from_overrides
from hforch.records.record_files import read_record, read_samples
from hforch.runs import JobContext
from hforch.runs.processes.worker_pool import WorkerPool
from hforch.runs.watcher import NullWatcher

FAKE = ("backend=fake", "inputs=numbers_in_french", "runtime.batch_size=1", "runtime.warmup=0")
SLOW = (*FAKE, "backend.token_s=0.1", "generation.max_new_tokens=8")
"""Four samples of nearly a second each."""


def start(directory: Path, *overrides: str) -> Forked:
    return command_line.start(*overrides, f"hydra.run.dir={directory}")


def start_cold(directory: Path, *overrides: str) -> subprocess.Popen[str]:
    """Start a process that imports its libraries itself."""
    command = [sys.executable, "-m", "hforch", *overrides, f"hydra.run.dir={directory}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen within a minute")


def worker_of(process: Forked | subprocess.Popen[str]) -> psutil.Process:
    """Return the grandchild of a process; its child is the fork server."""

    def workers() -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):  # the process that reads the inputs may have exited
            return [worker for one in psutil.Process(process.pid).children() for worker in one.children()]
        return []

    wait_for(lambda: bool(workers()), "a worker")
    return workers()[0]


def samples_in(directory: Path) -> int:
    return len(list(read_samples(directory)))


def test_ctrl_c_leaves_a_readable_record_and_exit_code_130(tmp_path: Path) -> None:
    process = start(tmp_path, *SLOW)
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    record = read_record(tmp_path)
    assert (record["status"], record["exit_code"]) == ("interrupted", 130)
    assert record["totals"]["samples"] == samples_in(tmp_path) < 4
    assert "interrupted" in out
    assert "Traceback" not in out + err


def test_ctrl_c_at_a_terminal_reaches_the_whole_group_and_counts_once(tmp_path: Path) -> None:
    with python_at_terminal(["-m", "hforch", *SLOW, f"hydra.run.dir={tmp_path}"], tmp_path) as child:
        wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
        child.screen.send("\x03")
        child.screen.expect("interrupted")
        child.screen.expect(pexpect.EOF)
        assert child.exit_code() == 130
    assert read_record(tmp_path)["status"] == "interrupted"


def test_a_killed_worker_fails_the_job_with_the_reason(tmp_path: Path) -> None:
    process = start(tmp_path, *SLOW)
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    worker_of(process).kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    record = read_record(tmp_path)
    assert record["status"] == "failed"
    assert "killed by SIGKILL, most likely because memory ran out" in record["error"]["message"]
    assert record["error"]["message"] in err
    assert record["job"]["backend"]["name"] == "fake"
    assert samples_in(tmp_path) >= 1
    assert "Traceback" not in out + err


def test_a_killed_fork_server_fails_the_job(tmp_path: Path) -> None:
    process = start(tmp_path, *SLOW)
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    worker_of(process).parent().kill()
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert read_record(tmp_path)["status"] == "failed"


def test_a_worker_exits_if_its_parent_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, *SLOW)
    worker = worker_of(process)
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    process.kill()
    process.communicate()
    wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, "the worker's end")
    assert read_record(tmp_path)["status"] == "interrupted"


def test_only_the_worker_loads_torch_and_openvino(tmp_path: Path, tiny_gpt2: Path) -> None:
    def mapped(pid: int) -> set[str]:
        names = {Path(each.path).name for each in psutil.Process(pid).memory_maps()}
        return {name for name in names if "torch" in name or "openvino" in name}

    words = ("inputs=facts", "generation.max_new_tokens=100", "generation.ignore_eos=true", "runtime.batch_size=1")
    process = start_cold(tmp_path, "model=local", f"model.path={tiny_gpt2}", *words, "runtime.repeat=50")
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    parent, worker = mapped(process.pid), mapped(worker_of(process).pid)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert parent == set()
    assert any(name.startswith("libtorch") for name in worker)


def test_output_of_libraries_goes_to_the_log_and_not_to_the_terminal(tmp_path: Path, tiny_gpt2: Path) -> None:
    process = start_cold(tmp_path, "model=local", f"model.path={tiny_gpt2}", "generation.max_new_tokens=3")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0
    assert err == ""
    assert "Loading weights" not in out and "Warning" not in out
    assert (tmp_path / "hforch.log").exists()


@pytest.mark.parametrize("isolation", ["process", "inline"])
def test_both_kinds_of_isolation_give_the_same_answers(tmp_path: Path, isolation: str) -> None:
    process = start(tmp_path, "backend=fake", "inputs=numbers_in_french", f"runtime.isolation={isolation}")
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    texts = [sample["text"] for sample in read_samples(tmp_path)]
    from hforch import load_chain

    chain = load_chain("backend=fake")
    assert texts == [chain.invoke(f"What is the number {number} in french?") for number in range(4)]


def test_the_recorded_memory_is_that_of_the_worker(tmp_path: Path, tiny_gpt2: Path) -> None:
    """The parent holds no model, so its memory is less than half of the recorded peak."""
    process = start_cold(tmp_path, "model=local", f"model.path={tiny_gpt2}", "generation.max_new_tokens=3")
    parent, status, highest = psutil.Process(process.pid), Path(f"/proc/{process.pid}/status"), 0.0
    while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
        peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        highest = max(highest, int(peak[1]) * 1024 / 1e6 if peak else 0.0)
        time.sleep(0.05)
    process.communicate(timeout=120)
    memory = read_record(tmp_path)["memory"]
    assert 0 < memory["peak_rss_anon_mb"] <= memory["peak_rss_mb"] < 1000
    assert 0 < 2 * highest < memory["peak_rss_mb"]


def test_closing_stdout_early_does_not_stop_the_run(tmp_path: Path) -> None:
    many = f"inputs.items={[f'number {i}' for i in range(300)]}"
    process = start(tmp_path, "backend=fake", many, "runtime.batch_size=1")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=120)
    assert said == "the reader of stdout has disconnected; the run continues (Ctrl-C stops it)\n"
    assert read_record(tmp_path)["status"] == "ok"
    assert samples_in(tmp_path) == 300


@pytest.mark.parametrize("place", ["a file", "a folder that cannot be"])
def test_an_unwritable_directory_is_reported(tmp_path: Path, place: str) -> None:
    (tmp_path / "taken").touch()
    directory = tmp_path / "taken" / "run" if place == "a file" else Path("/proc/hforch/run")
    process = start(directory, "backend=fake")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot write to the run directory" in err
    assert "hydra.run.dir=DIR" in err
    assert "Traceback" not in err


def test_ctrl_c_before_any_output_leaves_a_record(tmp_path: Path) -> None:
    process = start(tmp_path, "backend=fake", "backend.load_s=30")
    wait_for((tmp_path / ".hydra" / "overrides.yaml").exists, "the run")
    process.send_signal(signal.SIGINT)  # before or after the job was sent to the worker: this is a race
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert read_record(tmp_path)["status"] == "interrupted"
    log = tmp_path / "hforch.log"
    assert "Traceback" not in err + (log.read_text(encoding="utf-8") if log.exists() else "")


@pytest.mark.parametrize(("key", "is_kept"), [("the only one", True), ("", False)])
def test_the_worker_that_checks_jobs_of_a_single_model_also_runs_them(tmp_path: Path, key: str, is_kept: bool) -> None:
    job = job_from_overrides(["backend=fake"])
    with WorkerPool() as workers:
        assert workers.check("fake", [job], key) == [[]]
        kept = set(map(id, workers._holders.values()))
        assert bool(kept) == is_kept
        assert workers.run(job, tmp_path, JobContext(), NullWatcher(), "the only one") == 0
        assert (set(map(id, workers._holders.values())) == kept) == is_kept
