"""--report: the report that a run or sweep writes when it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import hforch

ASKED = ("backend=fake", "inputs=facts", "runtime.warmup=0")


def test_a_run_writes_its_report_and_prints_the_path(tmp_path: Path) -> None:
    done = hforch(*ASKED, "--report", f"hydra.run.dir={tmp_path}")
    assert done.stdout.splitlines()[-1] == f"report: {tmp_path / 'report.html'}"
    assert "<title>hforch report</title>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_sweeps_recipes_and_resumes_write_reports(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "defaults: [backend: fake]\nhydra: {sweeper: {params: {runtime.seed: '1,2'}}}\n"
    )
    directory = tmp_path / "sweep"
    done = hforch("run", str(tmp_path / "recipe.yaml"), "--report", f"hydra.sweep.dir={directory}")
    assert done.stdout.splitlines()[-1] == f"report: {directory / 'report.html'}"
    (directory / "report.html").unlink()
    hforch("resume", str(directory))
    assert not (directory / "report.html").exists()
    hforch("resume", str(directory), "--report")
    assert (directory / "report.html").is_file()


def test_a_launcher_plugin_writes_a_report(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ("-m", *ASKED, "runtime.seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "runtime.threads=1")
    hforch(*words, "--report", f"hydra.sweep.dir={tmp_path}")
    assert (tmp_path / "report.html").is_file()


def test_stdout_contains_only_the_record(tmp_path: Path) -> None:
    done = hforch(*ASKED, "--report", "runtime.display=json", f"hydra.run.dir={tmp_path}")
    assert json.loads(done.stdout)["status"] == "ok"
    assert f"report: {tmp_path / 'report.html'}" in done.stderr


def test_force_deletes_the_report_of_the_earlier_run(tmp_path: Path) -> None:
    hforch(*ASKED, "--report", f"hydra.run.dir={tmp_path}")
    hforch(*ASKED, "--force", f"hydra.run.dir={tmp_path}")
    assert not (tmp_path / "report.html").exists()
    hforch(*ASKED, "--report", "--force", "--dry-run", f"hydra.run.dir={tmp_path}")
    assert not (tmp_path / "report.html").exists()


def test_a_sweep_with_failed_jobs_writes_a_report_and_exits_with_1(tmp_path: Path) -> None:
    failures = "backend.failures=[{match: France, error: no answer, after: 1}]"
    words = ("-m", *ASKED, failures, "runtime.seed=1,2", "--report", f"hydra.sweep.dir={tmp_path}")
    done = hforch(*words, code=1)
    assert f"report: {tmp_path / 'report.html'}" in done.stdout


def test_without_the_report_libraries_nothing_is_run(tmp_path: Path) -> None:
    program = "import sys; sys.modules['vl_convert'] = None; from hforch.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", program, *ASKED, "--report", f"hydra.run.dir={tmp_path / 'run'}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "pip install 'hforch[report]'" in done.stderr
    assert not (tmp_path / "run").exists()
