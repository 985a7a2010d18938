"""A fork server may be started before the configuration is known; a wrong guess has no effect."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hforch.config.config_dirs import conf_dir
from hforch.records.record_files import read_record, read_samples
from hforch.runs.processes.preload import without_modules
from hforch.runs.processes.prestart import likely_backend

VERBS = ["ask", "doctor", "export", "run", "schema"]


@pytest.fixture
def needs_cores(all_cores: int) -> None:
    if all_cores < 2:
        pytest.skip("no fork server is started early on a single core")


@pytest.mark.parametrize(
    ("words", "backend"),
    [
        ([], "pytorch"),
        (["generation.max_new_tokens=3"], "pytorch"),
        (["backend=openvino"], "openvino"),
        (["-m", "backend=openvino,pytorch"], "openvino"),
        (["run", "mine.yaml"], "fake"),
        (["run", "mine.yaml", "backend=openvino"], "openvino"),
        (["run", "absent.yaml"], "pytorch"),
        (["ask", "mine.yaml"], "pytorch"),
        (["ask", "What is it?", "backend=openvino"], "openvino"),
        (["backend=opnvino"], None),
        (["backend=../cli"], None),
        (["--help"], None),
        (["--cfg", "job"], None),
        (["--cfg=job"], None),
        (["doctor"], None),
        (["export", "precision=int8"], None),
        (["runtime.isolation=inline"], None),
    ],
)
def test_the_backend_is_guessed_from_the_command_line(
    words: list[str], backend: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("defaults:\n  - model: smollm2\n  - backend: fake\n")
    assert likely_backend(words, VERBS, conf_dir() / "config.yaml") == backend


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hforch", *words, f"hydra.run.dir={folder / 'run'}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_a_wrong_guess_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine/backend").mkdir(parents=True)
    (tmp_path / "mine/backend/scripted.yaml").write_text("defaults: [fake]\n")
    done = run(tmp_path, "--config-dir", "mine", "backend=scripted")  # not the name of a backend module
    assert done.returncode == 0, done.stderr
    assert read_record(tmp_path / "run")["job"]["backend"]["name"] == "fake"
    (tmp_path / "mine.yaml").write_text("defaults:\n- backend: pytorch\n")  # overridden below
    done = run(tmp_path, "run", "mine.yaml", "backend=fake", "--force")
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("needs_cores")
def test_environment_variables_set_by_hydra_reach_the_job(tmp_path: Path) -> None:
    failing = "backend.failures=[{match: '', error: oh, after: 0}]"
    done = run(tmp_path, "backend=fake", failing, "+hydra.job.env_set.HYDRA_FULL_ERROR='1'", "hydra.verbose=true")
    assert done.returncode == 1
    (sample,) = read_samples(tmp_path / "run")
    assert "Traceback" in sample["error"]["traceback"]


@pytest.mark.usefixtures("needs_cores")
def test_ctrl_c_during_composition_leaves_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hforch", "backend=pytorch"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (children := psutil.Process(process.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_preloading_imports_torchao_only_for_its_precision() -> None:
    """Importing torchao initializes CUDA, also for a job on the CPU that runs in the caller's process."""
    pytest.importorskip("torchao")
    program = (
        "import sys; from hforch.runs.processes.preload import preload;"
        " preload('pytorch', 'fp32'); print('transformers.modeling_utils' in sys.modules, 'torchao' in sys.modules);"
        " preload('pytorch', 'int8'); print('torchao.quantization' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["True", "False", "True"]


def test_modules_are_hidden_only_inside_the_block() -> None:
    from importlib.util import find_spec

    before = list(sys.meta_path)
    with without_modules(["antigravity"]):
        assert find_spec("antigravity") is None
        assert find_spec("this") is not None
    assert sys.meta_path == before
    assert find_spec("antigravity") is not None
