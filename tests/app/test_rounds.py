"""Jobs that take turns: the order, what records contain, failures, resume, and the end of measuring."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import ROOT, hforch, start
from test_sweep import keys, records, samples_in, wait_for

from hforch.records.record_files import read_record, read_samples
from hforch.records.sweep_file import read_sweep

FAKE = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "runtime.batch_size=1")
SHORT = "generation.max_new_tokens=6"
TWO_MODELS = "backend.load_s=0.0,0.01"
PATCHED = """
import sys
import hforch.app.running as running
import hforch.runs.side_by_side as side_by_side
from hforch.runs.sweep import Sweep
{patches}
from hforch.cli import main
sys.exit(main())
"""
NOT_KEPT = "side_by_side.SHARE = 0.0"


def sweep(directory: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return hforch("-m", *FAKE, SHORT, *words, f"hydra.sweep.dir={directory}", code=code)


def patched_sweep(directory: Path, patches: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep in a new process with some functions replaced."""
    command = [sys.executable, "-c", PATCHED.format(patches=patches), "-m", *words, f"hydra.sweep.dir={directory}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def order(directory: Path) -> list[list[str]]:
    """Return the names of the jobs in the order in which each round was measured."""
    found: dict[int, list[tuple[str, str]]] = {}
    for name, record in records(directory).items():
        for one in record["rounds"]:
            found.setdefault(one["round"], []).append((one["started"], name))
    return [[name for _, name in sorted(found[number])] for number in sorted(found)]


def loads(record: Mapping[str, Any]) -> list[int]:
    return [one["load"] for one in record["rounds"]]


# ---------------------------------------------------------------- order and records
@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A sweep of three jobs with two models, three rounds of two repeats each."""
    directory = tmp_path_factory.mktemp("rounds") / "sweep"
    words = ("backend.load_s=0.0", "runtime.seed=1,2", "runtime.rounds=3", "runtime.repeat=2", "backend.token_s=0.002")
    return directory, sweep(directory, *words[:1], "generation.max_new_tokens=6,7,8", *words[2:]).stdout


def test_jobs_take_turns_in_alternating_order(measured: tuple[Path, str]) -> None:
    directory, printed = measured
    assert order(directory) == [["0", "1", "2"], ["2", "1", "0"], ["0", "1", "2"]]
    assert "rounds: 3, jobs take turns; models stay loaded" in printed
    assert "round 2 of 3" in printed


def test_each_sample_belongs_to_one_round_and_repeats_are_counted_over_all_rounds(measured: tuple[Path, str]) -> None:
    for name in "012":
        lines = list(read_samples(measured[0] / name))
        assert Counter(Counter((one["input_id"], one["repeat"]) for one in lines).values()) == {1: 4 * 6}
        assert all(one["round"] == one["repeat"] // 2 for one in lines)


def test_a_record_has_an_entry_for_each_round(measured: tuple[Path, str]) -> None:
    for record in records(measured[0]).values():
        assert record["status"] == "ok" and record["interleaved"] is True and record["resumed"] == 0
        assert [one["round"] for one in record["rounds"]] == [0, 1, 2]
        assert loads(record) == [0, 0, 0]
        each = [speed for one in record["rounds"] for speed in one["tokens_per_s_each"]]
        assert record["metrics"]["tokens_per_s_each"] == each and len(each) == 6
        assert record["metrics"]["measured_s"] == pytest.approx(sum(one["seconds"] for one in record["rounds"]))
        tokens = sum(one["output_tokens"] for one in record["rounds"])
        assert tokens == record["totals"]["output_tokens"]
        assert record["totals"]["samples"] == record["totals"]["planned"] == 24
        assert not {"extended", "looked_early", "planned"} & record.keys()
        assert [stage["name"] for stage in record["stages"]].count("load") <= 1
    assert read_sweep(measured[0])["kept_loaded"] is True


def test_answers_of_all_rounds_are_compared(measured: tuple[Path, str]) -> None:
    (row, *_) = json.loads(hforch("compare", str(measured[0]), "--format", "json").stdout)["rows"]
    assert row["metrics"]["exact_match"] in (1.0, None) and not any("no matching sample" in one for one in row["notes"])


def test_a_model_that_does_not_fit_with_others_is_loaded_in_each_round(tmp_path: Path) -> None:
    done = patched_sweep(tmp_path, NOT_KEPT, *FAKE, SHORT, TWO_MODELS, "runtime.rounds=3")
    for record in records(tmp_path).values():
        assert loads(record) == [0, 1, 2]
        assert record["shared_load"] is False
    about = read_sweep(tmp_path)
    assert about["kept_loaded"] is False and "at most 0% may be used" in about["kept_loaded_because"]
    assert "each model is loaded in each round" in done.stdout
    assert len(about["noise"]) == 6


def test_jobs_that_share_a_model_share_its_loads(tmp_path: Path) -> None:
    sweep(tmp_path, "runtime.seed=1,2", "runtime.rounds=2")
    assert [loads(record) for record in records(tmp_path).values()] == [[0, 0], [0, 0]]
    assert read_sweep(tmp_path)["kept_loaded_because"] == "all jobs share one model"
    assert len(read_sweep(tmp_path)["noise"]) == 1


def test_inline_models_are_loaded_in_each_round(tmp_path: Path) -> None:
    sweep(tmp_path, TWO_MODELS, "runtime.rounds=2", "runtime.isolation=inline")
    assert [loads(record) for record in records(tmp_path).values()] == [[0, 1], [0, 1]]


def test_jobs_may_have_different_numbers_of_rounds(tmp_path: Path) -> None:
    sweep(tmp_path, "runtime.rounds=1,3", "runtime.seed=1,2")
    assert order(tmp_path) == [["0", "1", "2", "3"], ["3", "2"], ["2", "3"]]
    assert {record["status"] for record in records(tmp_path).values()} == {"ok"}


def test_idle_models_are_freed_at_the_end(tmp_path: Path) -> None:
    words = ("-m", *FAKE, SHORT, TWO_MODELS, "runtime.rounds=3", "backend.token_s=0.02", f"hydra.sweep.dir={tmp_path}")
    process = start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen: dict[int, int] = {}
    while process.poll() is None:
        alive = [worker.pid for worker in workers_of(process.pid)]
        seen |= {pid: max(seen.get(pid, 0), len(alive)) for pid in alive}
        time.sleep(0.02)
    process.communicate()
    assert max(seen.values()) == 2
    assert not any(psutil.pid_exists(pid) for pid in seen)


def workers_of(pid: int) -> list[psutil.Process]:
    """Return the workers of a sweep's fork servers."""
    try:
        return [worker for server in psutil.Process(pid).children() for worker in server.children()]
    except psutil.NoSuchProcess:
        return []


# ---------------------------------------------------------------- other ways to run
def test_a_single_run_measures_its_rounds_one_after_another(tmp_path: Path) -> None:
    done = hforch(*FAKE, SHORT, "runtime.rounds=3", f"hydra.run.dir={tmp_path}")
    record = read_record(tmp_path)
    assert record["interleaved"] is False and loads(record) == [0, 0, 0]
    assert done.stdout.count("one after another") == 1
    assert done.stdout.count("How do you say 0") + done.stdout.count("number 0") <= 1  # answers are shown once


@pytest.mark.model
def test_a_launcher_measures_the_rounds_of_a_job_one_after_another(tmp_path: Path) -> None:
    done = sweep(tmp_path, "runtime.seed=1,2", "runtime.rounds=2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    for record in records(tmp_path).values():
        assert record["status"] == "ok" and record["interleaved"] is False and loads(record) == [0, 0]
    assert done.stdout.count("jobs do not take turns") == 1


def test_a_dry_run_describes_the_rounds(tmp_path: Path) -> None:
    printed = sweep(tmp_path / "sweep", TWO_MODELS, "runtime.rounds=4", "--dry-run").stdout
    assert "rounds: 4, jobs take turns; models stay loaded" in printed and " 16 " in printed
    assert not (tmp_path / "sweep").exists()


def test_the_json_display_prints_each_record_once(tmp_path: Path) -> None:
    done = sweep(tmp_path, TWO_MODELS, "runtime.rounds=3", "runtime.display=json")
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(one["rounds"]) for one in printed] == [3, 3]


def test_a_job_with_rounds_can_be_frozen_and_verified(measured: tuple[Path, str], tmp_path: Path) -> None:
    recipe = tmp_path / "frozen.yaml"
    hforch("freeze", str(measured[0] / "0"), "-o", str(recipe))
    done = hforch("verify", str(recipe), "--output", str(tmp_path / "verified"))
    assert "identical: all 8 outputs match" in done.stdout  # two repeats of four inputs
    assert "unchanged: configuration" in done.stdout


# ---------------------------------------------------------------- failures
def test_a_job_that_fails_in_a_round_is_not_continued_and_the_others_are(tmp_path: Path) -> None:
    failing = "backend.failures=[],[{match: '2', error: broken, after: 1}]"
    done = sweep(tmp_path, failing, "runtime.rounds=3", code=1)
    good, bad = records(tmp_path).values()
    assert (good["status"], len(good["rounds"])) == ("ok", 3)
    assert (bad["status"], len(bad["rounds"])) == ("failed", 1)
    assert done.stdout.count("failed: ") == 2  # immediately, and in the summary


def test_a_killed_worker_fails_its_job_only(tmp_path: Path) -> None:
    words = ("-m", *FAKE, SHORT, TWO_MODELS, "runtime.rounds=4", "backend.token_s=0.03")
    process = start(*words, f"hydra.sweep.dir={tmp_path}", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(lambda: samples_in(tmp_path) >= 9, "the second round")
    workers_of(process.pid)[0].send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    found = list(records(tmp_path).values())
    assert sorted(one["status"] for one in found) == ["failed", "ok"]
    bad = next(one for one in found if one["status"] == "failed")
    assert "killed by SIGKILL" in bad["error"]["message"]
    assert bad["rounds"][0]["seconds"] > 0  # earlier rounds stay
    resumed = hforch("resume", str(tmp_path))
    assert "1 job to run" in resumed.stdout
    for name, record in records(tmp_path).items():
        assert record["status"] == "ok" and len(record["rounds"]) == 4
        assert len(keys(tmp_path / name)) == len(set(keys(tmp_path / name))) == 16


def test_fail_fast_stops_all_jobs(tmp_path: Path) -> None:
    failing = "backend.failures=[],[{match: '2', error: broken, after: 1}]"
    sweep(tmp_path, failing, "runtime.rounds=3", "runtime.fail_fast=true", code=1)
    assert [one["status"] for one in records(tmp_path).values()] == ["interrupted", "failed"]
    assert "planned" not in records(tmp_path)["0"]


def test_ctrl_c_interrupts_all_jobs_which_can_be_resumed(tmp_path: Path) -> None:
    words = ("-m", *FAKE, SHORT, TWO_MODELS, "runtime.rounds=3", "backend.token_s=0.03")
    process = start(*words, f"hydra.sweep.dir={tmp_path}", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(lambda: samples_in(tmp_path) >= 10, "the second round")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert [one["status"] for one in records(tmp_path).values()] == ["interrupted", "interrupted"]
    hforch("resume", str(tmp_path))
    for name, record in records(tmp_path).items():
        assert record["status"] == "ok" and record["resumed"] == 1
        assert len(keys(tmp_path / name)) == len(set(keys(tmp_path / name))) == 12


# ---------------------------------------------------------------- resume
def test_a_sweep_killed_in_the_second_round_loses_and_repeats_nothing(tmp_path: Path) -> None:
    words = ("-m", *FAKE, SHORT, "generation.max_new_tokens=6,7,8", "runtime.rounds=3", "backend.token_s=0.02")
    process = start(*words, f"hydra.sweep.dir={tmp_path}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: samples_in(tmp_path) >= 17, "the middle of the second round")
    workers = workers_of(process.pid)
    process.kill()
    process.wait()
    wait_for(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers), "the end")
    kept = {name: keys(tmp_path / name) for name in "012"}
    before = records(tmp_path)
    assert all(one["rounds"][0]["seconds"] > 0 for one in before.values())
    hforch("resume", str(tmp_path))
    for name, record in records(tmp_path).items():
        found = keys(tmp_path / name)
        assert len(found) == len(set(found)) == 12
        assert found[: len(kept[name])] == kept[name]
        assert record["status"] == "ok" and record["resumed"] == 1 and record["interleaved"] is True
        assert record["rounds"][0] == before[name]["rounds"][0]  # a complete round is not measured again
        assert [one["round"] for one in record["rounds"]] == [0, 1, 2]
        assert loads(record) == sorted(loads(record)) and loads(record)[-1] == 1
        complete = [one["tokens_per_s"] for one in record["rounds"] if not one.get("incomplete")]
        assert record["metrics"]["tokens_per_s_each"] == complete
    assert order(tmp_path)[2] == ["0", "1", "2"]


def test_more_rounds_are_measured_when_a_sweep_is_resumed(measured: tuple[Path, str], tmp_path: Path) -> None:
    directory = Path(shutil.copytree(measured[0], tmp_path / "copy"))
    before = records(directory)
    hforch("resume", str(directory), "runtime.rounds=5")
    for name, record in records(directory).items():
        assert record["extended"] is True and record["interleaved"] is True
        assert record["rounds"][:3] == before[name]["rounds"] and loads(record) == [0, 0, 0, 1, 1]
        assert len(keys(directory / name)) == len(set(keys(directory / name))) == 40
        assert record["memory"] == before[name]["memory"] and record["timings"] == before[name]["timings"]
    assert order(directory)[3:] == [["2", "1", "0"], ["0", "1", "2"]]
    assert "nothing to do" in hforch("resume", str(directory)).stdout
    fewer = hforch("resume", str(directory), "runtime.rounds=4", code=2).stderr
    assert "runtime.rounds: must be at least 5" in fewer
    other = hforch("resume", str(directory), "runtime.repeat=3", code=2).stderr
    assert "resume cannot change the configuration" in other


def test_a_single_run_can_be_extended(tmp_path: Path) -> None:
    hforch(*FAKE, SHORT, f"hydra.run.dir={tmp_path}")
    hforch("resume", str(tmp_path), "runtime.rounds=3")
    record = read_record(tmp_path)
    assert record["status"] == "ok" and record["extended"] is True and loads(record) == [0, 1, 1]


# ---------------------------------------------------------------- until decided
MEASURE = ("runtime.measure.until=decided", "backend.token_s=0.005", "generation.max_new_tokens=6,7")


def test_measuring_stops_when_the_jobs_are_decided(tmp_path: Path) -> None:
    decides = """
seen = []
def decided(directory):
    import json
    from hforch.records.record_files import read_record
    seen.append([len(read_record(directory / name)["rounds"]) for name in "01"])
    (directory / "seen.json").write_text(json.dumps(seen))
    return "job 0 is faster" if len(seen) == 3 else None
running.Sweep = lambda *a, **k: Sweep(*a, **{**k, "decided": decided})
"""
    done = patched_sweep(tmp_path, decides, *FAKE, *MEASURE)
    assert json.loads((tmp_path / "seen.json").read_text()) == [[3, 3], [4, 4], [5, 5]]
    for name, record in records(tmp_path).items():
        assert (record["status"], len(record["rounds"]), record["looked_early"]) == ("ok", 5, True)
        assert record["totals"]["planned"] == record["totals"]["samples"] == len(set(keys(tmp_path / name))) == 20
    stopped = {"until": "decided", "rounds": 5, "stopped_by": "decided", "why": "job 0 is faster"}
    assert read_sweep(tmp_path)["measured"] == stopped
    assert "measured 5 rounds: job 0 is faster" in done.stdout
    assert "nothing to do" in hforch("resume", str(tmp_path)).stdout
    assert read_sweep(tmp_path)["measured"] == stopped


def test_measuring_stops_before_it_exceeds_the_time_limit(tmp_path: Path) -> None:
    sweep(tmp_path, *MEASURE, "runtime.measure.at_most=0.5", "generation.max_new_tokens=12,16")
    stopped = read_sweep(tmp_path)["measured"]
    assert stopped["stopped_by"] == "at_most" and "at_most (0.5)" in stopped["why"]
    for record in records(tmp_path).values():
        taken = [one["seconds"] for one in record["rounds"]]
        assert record["status"] == "ok" and len(taken) == stopped["rounds"]
        assert sum(taken[:-1]) <= 0.5
    assert max(sum(one["seconds"] for one in record["rounds"]) for record in records(tmp_path).values()) > 0.1


def test_rounds_is_the_least_number_that_is_measured(tmp_path: Path) -> None:
    sweep(tmp_path, *MEASURE, "runtime.measure.at_most=0.001", "runtime.rounds=2")
    assert [len(record["rounds"]) for record in records(tmp_path).values()] == [2, 2]


def test_a_killed_measurement_continues_with_the_rounds_that_it_had(tmp_path: Path) -> None:
    words = ("-m", *FAKE, *MEASURE, "backend.token_s=0.01", "runtime.measure.at_most=2")
    process = start(*words, f"hydra.sweep.dir={tmp_path}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: samples_in(tmp_path) >= 29, "the fourth round")
    process.kill()
    process.wait()
    kept = {name: keys(tmp_path / name) for name in "01"}
    hforch("resume", str(tmp_path))
    number = read_sweep(tmp_path)["measured"]["rounds"]
    for name, record in records(tmp_path).items():
        found = keys(tmp_path / name)
        assert len(found) == len(set(found)) == 4 * number and number > 3
        assert found[: len(kept[name])] == kept[name]
        assert (record["status"], len(record["rounds"])) == ("ok", number)


def test_all_mistakes_in_the_settings_are_reported_together(tmp_path: Path) -> None:
    words = ["at_most=soon", "margin=1.5", "confidence=0", "until=forever"]
    settings = [f"runtime.measure.{word}" for word in words]
    err = sweep(tmp_path, "runtime.rounds=0", *settings, code=2).stderr
    assert "5 errors; nothing was run" in err
    assert "runtime.measure.at_most: must be a positive number of seconds, or a number with a unit" in err
    for name in ("rounds", "measure.margin", "measure.confidence", "measure.until"):
        assert f"runtime.{name}: must be " in err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "there is nothing to decide in a single run"),
        (("-m",), "there is nothing to decide in a sweep of one job"),
        (("-m", "runtime.seed=1,2", "hydra/launcher=joblib"), "jobs of this launcher do not take turns"),
        (("-m", "runtime.seed=1,2", "runtime.measure.margin=0.1,0.2"), "must be the same in all jobs of a sweep"),
        (("-m", "runtime.seed=1,2", "runtime.measure.optimize=[tokens]"), "unknown metric 'tokens'"),
    ],
)
def test_a_decision_that_cannot_be_made_is_an_error(tmp_path: Path, words: tuple[str, ...], problem: str) -> None:
    directories = (f"hydra.run.dir={tmp_path / 'new'}", f"hydra.sweep.dir={tmp_path / 'new'}")
    err = hforch(*words, "backend=fake", "runtime.measure.until=decided", *directories, code=2).stderr
    assert problem in err
    assert not (tmp_path / "new").exists()
