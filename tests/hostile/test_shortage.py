"""Exhausted resources: one clear line, the right exit code, and no partial files."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import ROOT, hforch, run
from written import sample

from hforch.commands import _comparison_flags
from hforch.commands.export import _copy
from hforch.errors import HforchError
from hforch.records.record_files import read_record, read_samples
from hforch.records.record_writer import RecordWriter
from hforch.records.sample import Sample
from hforch.records.sample_lines import SAMPLES
from hforch.utils import files
from hforch.utils.system_limits import limit_reached

FAKE = ("backend=fake", "inputs=facts", "runtime.warmup=0")
SWEEP = ("-m", *FAKE, "runtime.seed=1,2")

WITHOUT = """
import os, sys, threading, subprocess
left = int(sys.argv[2])

def refuse(*_):
    raise BlockingIOError(11, "Resource temporarily unavailable")

def fork(real=os.fork):
    global left
    left -= 1
    return real() if left >= 0 else refuse()

def start(self):
    raise RuntimeError("can't start new thread")

if sys.argv[1] == "threads":
    threading.Thread.start = start
else:
    os.fork = fork
from hforch.cli import main
sys.argv[:] = ["hforch", *sys.argv[3:]]
sys.exit(main())
"""


def limited(limit: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run hforch from a shell with a limit."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = ["bash", "-c", f'{limit} && exec "$0" -m hforch "$@"', sys.executable, *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)


def without(what: str, after: int, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run hforch on a system that cannot start more processes or threads."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WITHOUT, what, str(after), *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120)


def is_clear(done: subprocess.CompletedProcess[str], said: str, code: int = 1) -> bool:
    whole = done.stdout + done.stderr
    assert done.returncode == code, whole
    assert "Traceback" not in whole and "internal error" not in whole
    assert sum(said in line for line in whole.splitlines()) >= 1, whole
    return True


# ---------------------------------------------------------------- the working directory
@pytest.mark.parametrize("words", [(), ("--help",), FAKE, SWEEP, ("doctor",), ("compare", "out"), ("resume", "out")])
def test_a_removed_working_directory_is_reported(tmp_path: Path, words: Sequence[str]) -> None:
    line = "mkdir gone && cd gone && rmdir ../gone"
    assert is_clear(limited(line, *words, cwd=tmp_path), "the working directory does not exist", code=2)


def test_the_version_needs_no_working_directory(tmp_path: Path) -> None:
    assert limited("mkdir gone && cd gone && rmdir ../gone", "--version", cwd=tmp_path).returncode == 0


# ---------------------------------------------------------------- processes, threads, open files
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("words", [FAKE, SWEEP], ids=["run", "sweep"])
def test_a_process_limit_is_reported(tmp_path: Path, words: Sequence[str], after: int) -> None:
    assert is_clear(without("processes", after, *words, cwd=tmp_path), "cannot start another process or thread")


@pytest.mark.parametrize("words", [FAKE, SWEEP], ids=["run", "sweep"])
def test_a_thread_limit_is_reported(tmp_path: Path, words: Sequence[str]) -> None:
    assert is_clear(without("threads", 0, *words, cwd=tmp_path), "cannot start another process or thread")


@pytest.mark.skipif(os.geteuid() == 0, reason="the limit of processes does not hold for root")
def test_a_real_process_limit_is_reported(tmp_path: Path) -> None:
    assert is_clear(limited("ulimit -u 1", *FAKE, cwd=tmp_path), "cannot start another process or thread")


def test_a_run_needs_few_open_files(tmp_path: Path) -> None:
    assert limited("ulimit -n 32", *SWEEP, cwd=tmp_path).returncode == 0


def test_a_limit_of_open_files_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = (*SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert is_clear(limited("ulimit -n 16", *words, cwd=tmp_path), "the limit of this process is 16")


def test_the_exhausted_resource_is_found_behind_other_errors() -> None:
    behind = ImportError("no such library")
    behind.__cause__ = OSError(errno.EMFILE, "Too many open files")
    assert "ulimit -n" in str(limit_reached(behind))
    assert "out of memory" in str(limit_reached(MemoryError()))
    assert "no space left on device (writing 'a/b')" in str(limit_reached(OSError(errno.ENOSPC, "", "a/b")))
    assert limit_reached(OSError(errno.ENOENT, "", "a")) is None
    assert limit_reached(ValueError()) is None


# ---------------------------------------------------------------- the disk
@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Limit the size of files that this process and its children can write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if path.name != ".hydra"]


@pytest.mark.parametrize("kilobytes", [2, 4, 7])
def test_a_run_without_disk_space_reports_it_and_can_be_resumed(tmp_path: Path, kilobytes: int) -> None:
    out = tmp_path / "out"
    limit = f"ulimit -f {kilobytes}"
    done = limited(limit, *FAKE, f"hydra.run.dir={out}", cwd=tmp_path)
    assert is_clear(done, "file size limit exceeded")
    assert hidden(out) == []
    text = (out / SAMPLES).read_text() if (out / SAMPLES).exists() else ""
    assert all(json.loads(line) for line in text.splitlines()) and text[-1:] in ("", "\n")
    if (out / "record.json").exists():
        assert read_record(out)["status"] != "ok"
        hforch("resume", str(out), cwd=tmp_path)
    else:
        hforch(*FAKE, f"hydra.run.dir={out}", cwd=tmp_path)
    assert read_record(out)["status"] == "ok" and len([*read_samples(out)]) == 8


def test_a_full_disk_is_reported_with_the_file(tmp_path: Path) -> None:
    """Uses a file system of 24 KB, if unprivileged users may mount one."""
    mount = "mount -t tmpfs -o size=24k none disk"
    tried = subprocess.run(
        ["unshare", "-rm", "bash", "-c", f"mkdir disk && {mount}"], cwd=tmp_path, capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip("no file system can be mounted here")
    line = f'{mount} && "$0" -m hforch "$@"; code=$?; find disk -name ".*.*"; exit $code'
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", line, sys.executable, *FAKE, "hydra.run.dir=disk/out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert is_clear(done, "no space left on device (writing ")
    assert "disk/out/.record" not in done.stdout


def test_a_sample_that_does_not_fit_leaves_no_partial_line(tmp_path: Path) -> None:
    with RecordWriter(tmp_path) as writer:
        writer.add(Sample(**sample(0, "a", [1])))
        with small_files(700), pytest.raises(OSError, match=SAMPLES):
            writer.add(Sample(**sample(1, "x" * 700, [1])))
        writer.add(Sample(**sample(2, "b", [1])))
    lines = (tmp_path / SAMPLES).read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == [0, 2]


def test_a_file_is_replaced_atomically_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_whole(path, "before")
    with small_files(10), pytest.raises(OSError, match=str(path)):
        files.write_whole(path, "after" * 10)
    with pytest.raises(ZeroDivisionError), files.replacing(path) as file:
        file.write(str(1 / 0))
    assert path.read_text() == "before" and [*tmp_path.iterdir()] == [path]


def test_a_file_that_the_user_named_may_be_a_link_or_a_device(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("before")
    link.symlink_to(real)
    files.write_output(link, "after")
    assert link.is_symlink() and real.read_text() == "after"
    files.write_output(tmp_path / "new" / "file", "text")
    assert (tmp_path / "new" / "file").read_text() == "text"
    files.write_output(Path(os.devnull), "text")
    assert Path(os.devnull).is_char_device()
    with pytest.raises(HforchError, match="cannot write /dev/full: no space left"):
        _comparison_flags.write(Path("/dev/full"), "text")


@pytest.mark.parametrize("exists", [True, False])
def test_a_model_is_copied_completely_or_not_at_all(tmp_path: Path, exists: bool) -> None:
    source, target = tmp_path / "ir", tmp_path / "copy"
    (source / "more").mkdir(parents=True)
    sizes = {"config.json": 10, "more/a": 10, "openvino_model.bin": 3000, "openvino_model.xml": 20, "entry.json": 1}
    for name, size in sizes.items():
        (source / name).write_bytes(b"x" * size)
    if exists:
        target.mkdir()
    with small_files(2000), pytest.raises(HforchError, match=r"cannot write .*copy: file size limit exceeded"):
        _copy(source, target)
    assert not any(target.iterdir()) if exists else not target.exists()
    with pytest.raises(HforchError, match="cannot write /dev/null/ir: not a directory"):
        _copy(source, Path("/dev/null/ir"))
    _copy(source, target)
    assert {str(file.relative_to(target)) for file in target.rglob("*") if file.is_file()} == sizes.keys() - {
        "entry.json"
    }


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/cache"])
def test_a_read_only_home_or_cache_does_not_stop_a_run_that_needs_neither(tmp_path: Path, place: str) -> None:
    environment = {**os.environ, "HOME": place, "HFORCH_CACHE": place, "XDG_CACHE_HOME": place}
    for words in (FAKE, ("doctor", "--cache")):
        done = run(*words, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
