"""`hforch ls`, `hforch show`, and `latest` as a directory."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import hforch

from hforch.records.directory_lock import locked

FAKE = ("backend=fake", "inputs=facts", "checks=contains_expected", "inputs.items=[{question: a, expected: q}]")
SWEEP = ("-m", *FAKE, "generation.max_new_tokens=4,8")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a run, a later sweep, and a run elsewhere."""
    folder = tmp_path_factory.mktemp("history")
    hforch(*FAKE, "precision=int8", cwd=folder)
    hforch(*SWEEP, cwd=folder)
    hforch(*FAKE, "hydra.run.dir=elsewhere/one", cwd=folder)
    return folder


def listed(*words: str, cwd: Path) -> list[dict[str, Any]]:
    return json.loads(hforch("ls", "--json", *words, cwd=cwd).stdout)  # type: ignore[no-any-return]


def copied(ran: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ran, tmp_path / "copy"))


def change(record: Path, **values: Any) -> None:
    record.write_text(json.dumps(json.loads(record.read_text()) | values))


def test_ls_lists_runs_and_sweeps_newest_first(ran: Path) -> None:
    sweep, run = listed(cwd=ran)
    assert (sweep["kind"], run["kind"]) == ("sweep", "run")
    assert sweep["started"] > run["started"]
    assert run["what"] == " ".join((*FAKE, "precision=int8"))
    assert sweep["what"] == " ".join((*FAKE, "generation.max_new_tokens=4,8"))
    assert sweep["jobs"] == {"ok": 2} and sweep["status"] == "ok"
    assert sweep["checks"] == {"passed": 0, "total": 2}
    lines = hforch("ls", cwd=ran).stdout.splitlines()
    assert "max_new_tokens=4,8" in lines[2] and sweep["directory"] in lines[2]
    assert "precision=int8" in lines[3]


def test_ls_reads_other_directories_and_limits_the_number(ran: Path) -> None:
    assert [one["directory"] for one in listed("elsewhere", cwd=ran)] == ["elsewhere/one"]
    assert [one["kind"] for one in listed("-n", "1", cwd=ran)] == ["sweep"]
    assert "directory not found: none" in hforch("ls", "none", cwd=ran, code=2).stderr
    assert "must be at least 1" in hforch("ls", "-n", "0", cwd=ran, code=2).stderr


def test_ls_without_runs_lists_nothing(tmp_path: Path) -> None:
    done = hforch("ls", cwd=tmp_path)
    assert done.stdout == "" and "no runs found in outputs/ or multirun/" in done.stderr
    assert listed(cwd=tmp_path) == []


def test_a_sweep_in_multirun_is_listed(ran: Path, tmp_path: Path) -> None:
    folder = copied(ran, tmp_path)
    (folder / "outputs").rename(folder / "multirun")
    assert len(listed(cwd=folder)) == 2


def test_a_recipe_and_its_axes_are_what_was_run(tmp_path: Path) -> None:
    recipe = "defaults: [{backend: fake}]\nhydra: {sweeper: {params: {stop: 'none,newline'}}}\n"
    (tmp_path / "mine.yaml").write_text(recipe)
    hforch("run", "mine.yaml", "runtime.seed=3", cwd=tmp_path)
    assert listed(cwd=tmp_path)[0]["what"] == "mine.yaml runtime.seed=3 stop=none,newline"


def test_the_status_distinguishes_running_killed_failed_and_missing_jobs(ran: Path, tmp_path: Path) -> None:
    folder = copied(ran, tmp_path)
    sweep = folder / listed(cwd=folder)[0]["directory"]
    change(sweep / "0" / "record.json", status="partial")
    shutil.rmtree(sweep / "1")
    assert listed(cwd=folder)[0]["status"] == "1 not run, 1 killed"
    with locked(sweep):
        assert listed(cwd=folder)[0]["status"] == "running: 1 not run, 1 running"
    change(sweep / "0" / "record.json", status="failed")
    assert listed(cwd=folder)[0]["jobs"] == {"failed": 1, "not run": 1}
    shutil.rmtree(sweep / "0")
    assert listed(cwd=folder)[0]["status"] == "2 not run"


def test_a_damaged_record_is_listed_as_unreadable(ran: Path, tmp_path: Path) -> None:
    folder = copied(ran, tmp_path)
    run = folder / listed(cwd=folder)[1]["directory"]
    (run / "record.json").write_text("{")
    os.utime(run, (0, 0))
    done = hforch("ls", cwd=folder)
    assert "unreadable" in done.stdout.splitlines()[-1]
    assert f"cannot read {run.relative_to(folder)}/record.json" in done.stderr


# ---------------------------------------------------------------- show
def test_show_prints_configuration_answers_checks_and_metrics(ran: Path) -> None:
    done = hforch("show", "latest/1", cwd=ran)
    assert "max_new_tokens: 8" in done.stdout
    assert "[1/1] a\n" in done.stdout
    assert "check failed: icontains {expected}: the answer does not contain 'q'" in done.stdout
    assert "tokens/s" in done.stdout and "checks: 0 of 1 passed" in done.stdout
    assert "status: ok, started 2" in done.stdout


def test_show_as_json_has_the_record_and_the_samples(ran: Path) -> None:
    found = json.loads(hforch("show", "latest/0", "--json", cwd=ran).stdout)
    assert found["status"] == "ok" and found["directory"].endswith("/0")
    assert [one["input"] for one in found["samples"]] == [{"question": "a", "expected": "q"}]


def test_show_can_omit_answers_that_passed(ran: Path, tmp_path: Path) -> None:
    words = ("inputs.items=[{question: a, expected: ' '}, {question: b, expected: q}]", "hydra.run.dir=run")
    hforch(*FAKE[:-1], "checks.strip=false", *words, cwd=tmp_path)
    whole, failed = (hforch("show", "run", *flags, cwd=tmp_path).stdout for flags in ((), ("--failed",)))
    assert "check passed: icontains {expected}" in whole and "omitted" not in whole
    assert "] a\n" not in failed and "] b\n" in failed
    assert "omitted: 1 without" in failed
    found = json.loads(hforch("show", "run", "--failed", "--json", cwd=tmp_path).stdout)
    assert [one["index"] for one in found["samples"]] == [1]


def test_show_lists_the_jobs_of_a_sweep(ran: Path) -> None:
    done = hforch("show", "latest", cwd=ran)
    assert "generation.max_new_tokens=4" in done.stdout and "generation.max_new_tokens=8" in done.stdout
    assert f"hforch show {listed(cwd=ran)[0]['directory']}/0" in done.stdout
    assert len(json.loads(hforch("show", "latest", "--json", cwd=ran).stdout)["jobs"]) == 2


def test_show_prints_the_error_of_a_failed_run(tmp_path: Path) -> None:
    fails = "backend.failures=[{match: '', error: no power, after: 0}]"
    hforch(*FAKE, fails, "hydra.run.dir=run", code=1, cwd=tmp_path)
    done = hforch("show", "run", cwd=tmp_path)
    assert "[1/1] a\n" in done.stdout
    assert "no power" in done.stdout and "status: failed" in done.stdout


# ---------------------------------------------------------------- latest
@pytest.mark.parametrize("words", [["compare"], ["report"], ["resume"], ["show"]])
def test_latest_is_the_newest_sweep_or_run(words: list[str], ran: Path, tmp_path: Path) -> None:
    folder = copied(ran, tmp_path)
    newest = listed(cwd=folder)[0]["directory"]
    done = hforch(*words, "latest", cwd=folder)
    assert f"latest: {newest}" in done.stderr
    assert "max_new_tokens" in done.stdout or newest in done.stdout, done.stdout


def test_a_job_of_the_latest_sweep_can_be_frozen(ran: Path) -> None:
    assert "max_new_tokens: 8" in hforch("freeze", "latest/1", cwd=ran).stdout


def test_a_directory_named_latest_takes_precedence(ran: Path, tmp_path: Path) -> None:
    folder = copied(ran, tmp_path)
    (folder / "elsewhere" / "one").rename(folder / "latest")
    done = hforch("show", "latest", cwd=folder)
    assert "latest:" not in done.stderr and "[1/1] a\n" in done.stdout


def test_latest_without_runs_is_an_error(tmp_path: Path) -> None:
    done = hforch("compare", "latest", cwd=tmp_path, code=2)
    assert "'latest': no runs found in outputs/ or multirun/" in done.stderr


def test_show_and_compare_omit_columns_that_only_checks_use(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("question;answer\na;q\nb;r\n")
    own = ("inputs=file", "inputs.path=q.csv", "checks.items=[{icontains: {column: answer}}]", "prompt=question")
    done = hforch("-m", *FAKE[:1], *own, "generation.max_new_tokens=2,8", "hydra.sweep.dir=out", cwd=tmp_path)
    assert "answer: q" not in hforch("compare", "out", cwd=tmp_path).stdout, done.stdout
    told = hforch("show", "out/0", cwd=tmp_path).stdout
    assert "[1/2] a\n" in told and "[2/2] b\n" in told
