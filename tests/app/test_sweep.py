"""Sweeps from the command line: order and processes of jobs, failures, resume, dry runs, launchers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import tiny_models
from command_line import hforch, run, start
from finished import copy_of_sweep
from forking import Forked

from hforch.records.record_files import read_record, read_samples

FAKE = ("backend=fake", "inputs=numbers_in_french", "runtime.warmup=0", "runtime.batch_size=1")
SHORT = "generation.max_new_tokens=6"


def started(directory: Path, *words: str, stdout: int = subprocess.PIPE) -> Forked:
    return start("-m", *words, f"hydra.sweep.dir={directory}", stdout=stdout, stderr=subprocess.STDOUT)


def sweep(directory: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return hforch("-m", *words, f"hydra.sweep.dir={directory}", code=code)


def resume(directory: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return hforch("resume", str(directory), *words, code=code)


def records(directory: Path) -> dict[str, dict[str, Any]]:
    return {one.parent.name: read_record(one.parent) for one in sorted(directory.glob("*/record.json"))}


def keys(directory: Path) -> list[tuple[str, int]]:
    """Return the keys of all samples, including duplicates."""
    return [(sample["input_id"], sample["repeat"]) for sample in read_samples(directory)]


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    for _ in range(1200):
        if found := condition():
            return found
        time.sleep(0.05)
    return pytest.fail(f"{what} did not happen within a minute")


def samples_in(directory: Path) -> int:
    return sum(len(list(read_samples(one.parent))) for one in directory.glob("*/samples.jsonl"))


# ---------------------------------------------------------------- order, numbers, processes
def test_jobs_that_share_a_model_run_consecutively_with_hydras_numbers(tmp_path: Path) -> None:
    done = sweep(tmp_path, *FAKE, "generation.max_new_tokens=2,3", "backend.load_s=0.01,0.02")
    found = records(tmp_path)
    assert [one["overrides"][-2:] for one in found.values()] == [
        ["generation.max_new_tokens=2", "backend.load_s=0.01"],
        ["generation.max_new_tokens=2", "backend.load_s=0.02"],
        ["generation.max_new_tokens=3", "backend.load_s=0.01"],
        ["generation.max_new_tokens=3", "backend.load_s=0.02"],
    ]
    assert sorted(found, key=lambda name: found[name]["started"]) == ["0", "2", "1", "3"]
    assert [found[name]["shared_load"] for name in "0213"] == [False, True, False, True]
    assert "4 jobs to run, 2 models to load" in done.stdout
    assert (tmp_path / "multirun.yaml").is_file()
    assert all((tmp_path / name / ".hydra" / "config.yaml").is_file() for name in found)


def test_labels_contain_only_what_differs(tmp_path: Path) -> None:
    sweep(tmp_path, *FAKE, "generation.max_new_tokens=2,3", "runtime.seed=7")
    jobs = json.loads((tmp_path / "sweep.json").read_text())["jobs"]
    assert [one["label"] for one in jobs] == ["generation.max_new_tokens=2", "generation.max_new_tokens=3"]


def test_each_load_key_has_its_own_worker_which_ends_with_the_sweep(tmp_path: Path) -> None:
    words = [*FAKE, "backend.load_s=0.0,0.01", "runtime.seed=1,2", "backend.token_s=0.02", SHORT]
    process = started(tmp_path, *words)
    workers: dict[int, set[str]] = {}
    children: set[int] = set()
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):  # processes that end in the meantime, such as the readers of inputs
            for fork_server in psutil.Process(process.pid).children():
                for worker in fork_server.children():
                    children.add(worker.pid)
                    running = [name for name, one in records(tmp_path).items() if one["status"] == "partial"]
                    workers.setdefault(worker.pid, set()).update(running)
        time.sleep(0.02)
    process.communicate()
    assert process.returncode == 0
    holders = {frozenset(jobs) for jobs in workers.values() if jobs}
    assert holders == {frozenset({"0", "1"}), frozenset({"2", "3"})}
    assert not any(psutil.pid_exists(pid) for pid in children)


def test_jobs_that_are_equal_for_their_backend_run_once(tmp_path: Path) -> None:
    done = sweep(tmp_path, *FAKE, "ov_config=default,kv_u8")
    found = records(tmp_path)
    assert (found["0"].get("same_as"), found["1"]["same_as"]) == (None, "../0")
    assert not (tmp_path / "1" / "samples.jsonl").exists()
    assert found["1"]["metrics"] == found["0"]["metrics"]
    assert "job 1 (ov_config=kv_u8) skipped: identical to job 0 except for settings that its backend" in done.stdout
    assert "skipped: identical to job 0" in done.stdout.partition("results:")[2]


def test_a_shared_model_gives_the_same_texts_as_separate_runs(tmp_path: Path, tiny_gpt2: Path) -> None:
    common = ["model=local", f"model.path={tiny_gpt2}", "inputs=numbers_in_french", "generation.max_new_tokens=6"]
    sweep(tmp_path / "s", *common, "backend=pytorch", "runtime.batch_size=1,4", "generation=greedy,sample")
    for name, record in records(tmp_path / "s").items():
        hforch(*record["overrides"], f"hydra.run.dir={tmp_path / 'alone' / name}")
        shared, alone = (list(read_samples(tmp_path / kind / name)) for kind in ("s", "alone"))
        assert [one["output_ids"] for one in shared] == [one["output_ids"] for one in alone]
        assert len(shared) == 4


@pytest.mark.parametrize("backend", ["pytorch", "openvino"])
def test_jobs_that_share_a_model_report_its_load_time_and_memory(tmp_path: Path, tiny_gpt2: Path, backend: str) -> None:
    common = ["model=local", f"model.path={tiny_gpt2}", "generation.max_new_tokens=4"]
    sweep(tmp_path, *common, f"backend={backend}", "runtime.seed=1,2")
    first, second = records(tmp_path).values()
    assert (first["shared_load"], second["shared_load"]) == (False, True)
    assert second["timings"]["load_s"] == first["timings"]["load_s"]
    assert second["memory"]["peak_rss_mb"] >= first["memory"]["peak_rss_anon_mb"]
    noise = json.loads((tmp_path / "sweep.json").read_text())["noise"]
    assert [one["job"] for one in noise] == [0]
    assert noise[0]["drift"] == pytest.approx(noise[0]["again_s"] / noise[0]["first_s"] - 1, abs=0.01)


# ---------------------------------------------------------------- failures
def test_a_failed_job_stops_no_other_and_is_reported_immediately_and_at_the_end(tmp_path: Path) -> None:
    failing = "backend.failures=[{match: number 2, error: it broke, after: 0}]"
    done = sweep(tmp_path, *FAKE, failing, "runtime.seed=1,2", code=1)
    assert [(one["status"], one["totals"]["failed"]) for one in records(tmp_path).values()] == [("failed", 1)] * 2
    assert done.stdout.count("failed: runtime.seed=1: input 3: it broke") == 2
    assert "2 samples failed:" in done.stdout
    assert done.stdout.index("seed=1: input 3") < done.stdout.index("[2/2]")
    assert f"hforch resume {tmp_path}" in done.stdout
    assert (tmp_path / "comparison.md").is_file()


def test_equal_failures_of_the_repeats_of_an_input_are_one_line_of_the_summary(tmp_path: Path) -> None:
    failing = "backend.failures=[{match: number 2, error: it broke, after: 0}]"
    done = sweep(tmp_path, *FAKE, failing, "runtime.seed=1,2", "runtime.repeat=3", code=1)
    summary = done.stdout.partition("6 samples failed:\n")[2].splitlines()
    assert summary[:2] == [f"failed: runtime.seed={seed}: input 3 (repeats 1, 2, 3): it broke" for seed in (1, 2)]


def test_fail_fast_stops_after_the_first_failure(tmp_path: Path) -> None:
    failing = "backend.failures=[{match: number 0, error: it broke, after: 0}]"
    sweep(tmp_path, *FAKE, failing, "runtime.seed=1,2", "runtime.fail_fast=true", code=1)
    assert list(records(tmp_path)) == ["0"]


def test_a_killed_worker_fails_one_job_and_is_replaced(tmp_path: Path) -> None:
    words = [*FAKE, "backend.token_s=0.03", "runtime.seed=1,2", SHORT]
    process = started(tmp_path, *words)
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    (fork_server,) = psutil.Process(process.pid).children()
    fork_server.children()[0].send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    first, second = records(tmp_path).values()
    assert first["status"] == "failed"
    assert "killed by SIGKILL, most likely because memory ran out" in first["error"]["message"]
    assert (second["status"], second["shared_load"]) == ("ok", False)
    assert first["error"]["message"] in out


# ---------------------------------------------------------------- resume
def test_a_killed_sweep_is_resumed_without_lost_or_repeated_samples(tmp_path: Path) -> None:
    words = [*FAKE, "backend.token_s=0.01", "runtime.seed=1,2,3", "runtime.repeat=2", SHORT]
    process = started(tmp_path, *words, stdout=subprocess.DEVNULL)
    wait_for(lambda: samples_in(tmp_path) >= 11, "eleven samples")
    kept = {name: keys(tmp_path / name) for name in ("0", "1")}
    process.kill()
    process.wait()
    done = resume(tmp_path)
    assert "2 jobs to run, 1 model to load · 1 already done" in done.stdout
    found = records(tmp_path)
    assert [(one["status"], one["resumed"]) for one in found.values()] == [("ok", 0), ("ok", 1), ("ok", 0)]
    for name in found:
        assert len(keys(tmp_path / name)) == len(set(keys(tmp_path / name))) == 8
    assert keys(tmp_path / "1")[: len(kept["1"])] == kept["1"]
    assert found["1"]["totals"]["samples"] == 8
    assert json.loads((tmp_path / "sweep.json").read_text())["status"] == "ok"


def test_the_speed_of_a_resumed_job_excludes_the_pause(tmp_path: Path) -> None:
    words = [*FAKE, "backend.token_s=0.02", "runtime.seed=1,2", "generation.max_new_tokens=8"]
    process = started(tmp_path, *words, stdout=subprocess.DEVNULL)
    wait_for(lambda: samples_in(tmp_path) == 2, "two samples")
    process.kill()
    process.wait()
    time.sleep(2)  # a pause that must not be counted
    resume(tmp_path)
    record = records(tmp_path)["0"]
    lines = list(read_samples(tmp_path / "0"))
    last = [one for one in lines if one["timings"]["latency_ms"] and one["index"] >= 2]
    spent = sum(one["timings"]["latency_ms"] for one in last) / 1000
    assert record["resumed"] == 1
    assert spent <= record["metrics"]["measured_s"] < spent + 1.5
    tokens = sum(one["output_tokens"] for one in last)
    assert record["metrics"]["tokens_per_s"] == pytest.approx(tokens / record["metrics"]["measured_s"], rel=0.01)


def test_ctrl_c_exits_with_130_a_hint_to_resume_and_a_comparison(tmp_path: Path) -> None:
    words = [*FAKE, "backend.token_s=0.03", "runtime.seed=1,2", SHORT]
    process = started(tmp_path, *words)
    wait_for(lambda: samples_in(tmp_path) >= 5, "five samples")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert json.loads((tmp_path / "sweep.json").read_text())["status"] == "interrupted"
    assert f"hforch resume {tmp_path}" in out
    assert (tmp_path / "comparison.json").is_file()
    resume(tmp_path)
    assert [len(set(keys(tmp_path / name))) for name in "01"] == [4, 4]


def test_an_interrupted_answer_has_not_failed(tmp_path: Path) -> None:
    words = ["backend=fake", "backend.token_s=0.5", "runtime.warmup=0", "runtime.seed=1,2", "checks=finished"]
    process = started(tmp_path, *words)
    record = tmp_path / "0" / "record.json"
    wait_for(lambda: record.is_file() and '"plan"' in record.read_text(), "the plan of the first job")
    time.sleep(0.5)  # the first token follows immediately
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "failed:" not in out and "interrupted: runtime.seed=1\n" in out
    totals = records(tmp_path)["0"]["totals"]
    assert (totals["samples"], totals["failed"], totals["interrupted"], totals["checks"]) == (1, 0, 1, None)
    (row, _) = json.loads((tmp_path / "comparison.json").read_text())["rows"]
    assert row["status"] == "interrupted" and row["metrics"]["failed"] == 0
    hforch("compare", str(tmp_path), "--junit", str(tmp_path / "checks.xml"))
    assert 'skipped="1"' in (tmp_path / "checks.xml").read_text()


def test_resume_runs_only_failed_jobs_again(tmp_path: Path, tiny_gpt2: Path) -> None:
    """A job whose worker was killed while it loaded the model has a record with an error, and no samples."""
    common = ["backend=pytorch", "model=local", "generation.max_new_tokens=4", "inputs=numbers_in_french"]
    sweep(tmp_path, *common, f"model.path={tiny_gpt2}", "precision=fp32,bf16")
    failed = json.loads((tmp_path / "1" / "record.json").read_text())
    failed |= {"status": "failed", "exit_code": 1, "error": {"type": "WorkerDied", "message": "killed"}}
    (tmp_path / "1" / "record.json").write_text(json.dumps(failed))
    (tmp_path / "1" / "samples.jsonl").unlink()
    before = (tmp_path / "0" / "samples.jsonl").read_bytes()
    resume(tmp_path)
    assert (tmp_path / "0" / "samples.jsonl").read_bytes() == before
    assert [one["status"] for one in records(tmp_path).values()] == ["ok", "ok"]
    assert len(keys(tmp_path / "1")) == 4


def interrupted(directory: Path, *words: str) -> None:
    """Create a sweep with one of its two jobs done and the other started."""
    copy_of_sweep(directory, *words)
    record = json.loads((directory / "1" / "record.json").read_text())
    (directory / "1" / "record.json").write_text(json.dumps(record | {"status": "partial"}))
    lines = (directory / "1" / "samples.jsonl").read_text().splitlines(keepends=True)
    (directory / "1" / "samples.jsonl").write_text("".join(lines[:2]) + lines[2][:20])


def test_a_truncated_sample_is_run_again(tmp_path: Path) -> None:
    interrupted(tmp_path, *FAKE, "runtime.seed=1,2")
    resume(tmp_path)
    assert len(keys(tmp_path / "1")) == len(set(keys(tmp_path / "1"))) == 4


def test_an_incomplete_batch_is_run_again(tmp_path: Path) -> None:
    interrupted(tmp_path, *FAKE[:-1], "runtime.batch_size=2", "runtime.seed=1,2")
    samples = tmp_path / "1" / "samples.jsonl"
    whole = (tmp_path / "0" / "samples.jsonl").read_text().splitlines(keepends=True)
    samples.write_text("".join(whole[:3]))
    resume(tmp_path)
    assert len(keys(tmp_path / "1")) == len(set(keys(tmp_path / "1"))) == 4
    assert samples.read_text().startswith("".join(whole[:2]))


def test_resume_rejects_changed_inputs(tmp_path: Path) -> None:
    questions = tmp_path / "questions.txt"
    questions.write_text("one\ntwo\nthree\n")
    words = ["backend=fake", "inputs=file", f"inputs.path={questions}", "runtime.warmup=0", "runtime.seed=1,2"]
    interrupted(tmp_path / "s", *words)
    questions.write_text("one\ntwo\nfour\n")
    done = resume(tmp_path / "s", code=2)
    assert "inputs: the contents have changed since the run started" in done.stderr


def test_resume_rejects_a_changed_configuration(tmp_path: Path) -> None:
    (tmp_path / "conf" / "generation").mkdir(parents=True)
    option = tmp_path / "conf" / "generation" / "mine.yaml"
    greedy = (Path(__file__).parents[2] / "conf" / "generation" / "greedy.yaml").read_text()
    option.write_text(greedy.replace("max_new_tokens: 64", "max_new_tokens: 5"))
    assert "max_new_tokens: 5" in option.read_text()
    interrupted(tmp_path / "s", "--config-dir", str(tmp_path / "conf"), *FAKE, "generation=mine", "runtime.seed=1,2")
    option.write_text(option.read_text().replace("max_new_tokens: 5", "max_new_tokens: 6"))
    done = resume(tmp_path / "s", "--config-dir", str(tmp_path / "conf"), code=2)
    assert "generation.max_new_tokens: changed from 5 to 6 since the run started" in done.stderr


def test_resume_rejects_a_job_of_another_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "older", *FAKE, "runtime.seed=5,6")
    interrupted(tmp_path / "s", *FAKE, "runtime.seed=1,2")
    for name in ("record.json", "samples.jsonl"):  # as if the sweep had stopped before job 1
        (tmp_path / "s" / "1" / name).write_bytes((tmp_path / "older" / "1" / name).read_bytes())
    done = resume(tmp_path / "s", code=2)
    assert f"{tmp_path / 's' / '1'} contains a job of an earlier sweep" in done.stderr
    assert read_record(tmp_path / "s" / "1")["overrides"] == [*FAKE, "runtime.seed=6"]


def test_resume_rejects_a_changed_model(tmp_path: Path, tiny_gpt2: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    subprocess.run(["cp", "-r", str(tiny_gpt2), str(folder)], check=True)
    common = ["backend=pytorch", "model=local", f"model.path={folder}", "generation.max_new_tokens=4"]
    interrupted(tmp_path / "s", *common, "runtime.batch_size=1", "runtime.seed=1,2", "inputs=numbers_in_french")
    weights = load_file(folder / "model.safetensors")
    changed = {name: torch.zeros_like(value) for name, value in weights.items()}
    save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
    done = resume(tmp_path / "s", code=2)
    assert "the model has changed" in done.stdout + done.stderr


def test_directories_that_cannot_be_resumed_are_reported(tmp_path: Path) -> None:
    assert "directory not found" in resume(tmp_path / "nowhere", code=2).stderr
    assert "nothing to resume" in resume(tmp_path, code=2).stderr
    (tmp_path / "died").mkdir()
    (tmp_path / "died" / "record.json").write_text('{"schema_version": 1, "status": "failed"}')
    assert "does not contain the command line" in resume(tmp_path / "died", code=2).stderr
    copy_of_sweep(tmp_path / "s", *FAKE, "runtime.seed=1,2")
    assert "is one job of a sweep" in resume(tmp_path / "s" / "0", code=2).stderr
    path = tmp_path / "s" / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    assert "99" in resume(tmp_path / "s", code=2).stderr


def test_a_finished_sweep_has_nothing_to_resume(tmp_path: Path) -> None:
    copy_of_sweep(tmp_path, *FAKE, "runtime.seed=1,2")
    before = {name: (tmp_path / name / "record.json").read_bytes() for name in "01"}
    assert "nothing to do: all 2 jobs are done\n" in resume(tmp_path).stdout
    assert {name: (tmp_path / name / "record.json").read_bytes() for name in "01"} == before


# ---------------------------------------------------------------- checks before a run
def test_all_mistakes_of_all_jobs_are_reported_together(tmp_path: Path) -> None:
    words = ["backend=fake,pytorch", "generation.max_new_tokens=4,-1", "stop.sequences=[a],[]", "runtime.batch_size=0"]
    done = sweep(tmp_path / "s", *words, code=2)
    assert "generation.max_new_tokens" in done.stderr
    assert "runtime.batch_size" in done.stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.model
def test_an_unsupported_combination_is_named(tmp_path: Path) -> None:
    words = ["backend=openvino", "device=cpu,npu", "stop=none,newline"]
    done = sweep(tmp_path / "s", *words, code=2)
    assert "(with device=npu)" in done.stderr
    assert done.stderr.count("device=npu)") == 1
    assert not (tmp_path / "s").exists()


def test_a_dry_run_lists_jobs_and_models_and_writes_nothing(tmp_path: Path) -> None:
    done = sweep(tmp_path / "s", "--dry-run", *FAKE, "runtime.seed=1,2", "ov_config=default,kv_u8")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["0", "runtime.seed=1", "ov_config=default", "4", "A", "to", "run"] in rows
    assert ["1", "runtime.seed=1", "ov_config=kv_u8", "4", "A", "skipped:", "identical", "to", "job", "0"] in rows
    assert not (tmp_path / "s").exists()


def test_a_dry_run_of_a_resume_shows_what_is_done(tmp_path: Path) -> None:
    interrupted(tmp_path, *FAKE, "runtime.seed=1,2")
    lines = resume(tmp_path, "--dry-run").stdout.splitlines()
    assert any(line.startswith("0") and "done" in line for line in lines)
    assert any(line.startswith("1") and "2 of 4" in line for line in lines), lines


@pytest.mark.model
def test_a_dry_run_estimates_from_the_checkpoints_header(tmp_path: Path) -> None:
    import torch
    from safetensors import safe_open
    from tiny_models import save_gpt2

    folder = save_gpt2(tmp_path / "model")
    with safe_open(folder / "model.safetensors", "pt") as file:
        parameters = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    from hforch.backends.base import capabilities
    from hforch.config.compose import job_from_overrides
    from hforch.models.estimate import Estimate, estimate

    def estimated(*words: str, longest: int = 100) -> Estimate:
        job = job_from_overrides(["model=local", f"model.path={folder}", *words])
        return estimate(job, capabilities(job).needs, longest, 3000)

    fp32 = ("precision=fp32", "backend=pytorch")
    found = estimated(*fp32)
    assert found.weights_mb == pytest.approx(parameters * torch.float32.itemsize / 1e6, abs=0.05)
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    token_mb = 2 * config.n_layer * config.n_embd * 4 / 1e6
    assert found.kv_mb == pytest.approx(token_mb * 100 * 3000, abs=0.05)
    # A sequence never grows beyond the model's context.
    assert estimated(*fp32, longest=1000).kv_mb == pytest.approx(token_mb * config.n_positions * 3000, abs=0.05)
    # A cache of a fixed size counts in full.
    genai = ("backend=openvino_genai", "precision=fp32")
    assert estimated(*genai, "backend.cache_size=3").kv_mb == pytest.approx(3 * 2**30 / 1e6, abs=0.05)
    # On OpenVINO, its precision may differ from that of the weights.
    u8 = estimated(*genai, "+ov_config.KV_CACHE_PRECISION=u8")
    assert u8.kv_mb == pytest.approx(token_mb / 4 * 100 * 3000, abs=0.05)


def test_jobs_excluded_by_a_recipe_are_listed(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "defaults: [{backend: fake}, {inputs: numbers_in_french}]\n"
        "exclude:\n  - {runtime.seed: 1, stop: [newline]}\n"
        "hydra: {sweeper: {params: {runtime.seed: '1,2', stop: 'none,newline'}}}\n"
    )
    done = hforch("run", str(recipe), f"hydra.sweep.dir={tmp_path / 's'}")
    assert "excluded by the recipe: runtime.seed=1 stop=newline" in done.stdout
    assert sorted(records(tmp_path / "s")) == ["0", "2", "3"]  # Hydra's numbers are kept


@pytest.fixture
def huge(tmp_path: Path, tiny_gpt2: Path) -> Path:
    """A checkpoint with a sparse weights file, 100 times as large as this machine's memory."""
    folder = tmp_path / "huge"
    folder.mkdir()
    for file in tiny_gpt2.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    tiny_models.save_sparse_weights(folder, psutil.virtual_memory().total * 25)
    return folder


def test_a_model_larger_than_memory_is_rejected_before_it_is_loaded(tmp_path: Path, huge: Path) -> None:
    words = ["model=local", f"model.path={huge}", "precision=fp32"]
    done = sweep(tmp_path / "s", *words, "runtime.seed=1,2", code=2)
    assert re.search(r"model: runtime\.seed=1: [\d.]+ GB of weights", done.stderr)
    assert f"do not fit into {psutil.virtual_memory().total / 1e9:.1f} GB of CPU memory" in done.stderr
    assert not (tmp_path / "s").exists()
    for flags in ((), ("--dry-run",)):
        refused = hforch(*words, f"hydra.run.dir={tmp_path / 'r'}", *flags, code=2).stderr
        assert re.search(r"^model: [\d.]+ GB of weights", refused, re.MULTILINE)
    assert not (tmp_path / "r").exists()
    warned = sweep(tmp_path / "s", "--dry-run", *words, "runtime.memory_check=warn", "runtime.seed=1,2")
    assert "2 " in warned.stdout


# ---------------------------------------------------------------- concurrent sweeps
def test_two_concurrent_sweeps_both_succeed(tmp_path: Path, tiny_gpt2: Path) -> None:
    """Both export the same model, which is not cached, and use Hydra's default output directory."""
    common = ["model=local", f"model.path={tiny_gpt2}", "backend=openvino", "generation.max_new_tokens=4"]
    environment = {**os.environ, "HFORCH_CACHE": str(tmp_path / "cache")}

    def sweep(_: int) -> subprocess.CompletedProcess[str]:
        return run("-m", *common, "runtime.seed=1,2", cwd=tmp_path, env=environment)

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(sweep, range(2)))
    assert [one.returncode for one in both] == [0, 0], both
    assert len(list((tmp_path / "cache" / "exports").iterdir())) == 1
    found = [read_record(path.parent) for path in tmp_path.glob("outputs/*/*/*/record.json")]
    assert len(found) == 4
    assert {one["status"] for one in found} == {"ok"}


def test_a_second_sweep_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    words = [*FAKE, "backend.token_s=0.05", "runtime.seed=1,2", SHORT]
    process = started(tmp_path, *words)
    wait_for(lambda: samples_in(tmp_path) >= 1, "a first sample")
    done = run("-m", *FAKE, "runtime.seed=1,2", f"hydra.sweep.dir={tmp_path}")
    out, _ = process.communicate(timeout=60)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert str(tmp_path) in done.stderr
    assert process.returncode == 0, out
    assert [len(keys(tmp_path / name)) for name in "01"] == [4, 4]


# ---------------------------------------------------------------- launchers
def test_joblib_gives_the_same_records_and_notes_parallel_measurements(tmp_path: Path, tiny_gpt2: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    common = ["model=local", f"model.path={tiny_gpt2}", "inputs=numbers_in_french", "generation.max_new_tokens=4"]
    words = [*common, "backend=pytorch", "precision=fp32", "stop=none,newline"]
    sweep(tmp_path / "one", *words)
    done = sweep(tmp_path / "two", *words, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    alone, beside = records(tmp_path / "one"), records(tmp_path / "two")
    assert list(alone) == list(beside) == ["0", "1"]
    assert alone["0"].keys() == beside["0"].keys()
    for name in alone:
        ids = [[one["output_ids"] for one in read_samples(tmp_path / kind / name)] for kind in ("one", "two")]
        assert ids[0] == ids[1]
        assert (alone[name]["parallel"], beside[name]["parallel"]) == (False, True)
        share = max(1, len(os.sched_getaffinity(0)) // 2)
        assert beside[name]["job"]["runtime"]["threads"] == share
    assert "all jobs ran in parallel with others" in done.stdout
    assert (tmp_path / "two" / "comparison.json").is_file()


def test_joblib_jobs_that_fail_leave_records_and_the_comparison(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    failing = "backend.failures=[{match: number 2, error: it broke, after: 0}]"
    words = [*FAKE, failing, "runtime.seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    done = sweep(tmp_path, *words, code=1)
    assert [one["status"] for one in records(tmp_path).values()] == ["failed", "failed"]
    assert (tmp_path / "comparison.md").is_file()
    assert "it broke" in done.stdout


def test_joblib_runs_jobs_inline_if_configured(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = [*FAKE, "runtime.seed=1,2,3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    sweep(tmp_path, *words, "runtime.isolation=inline")
    found = records(tmp_path).values()
    assert [(one["status"], one["process"]["start"]) for one in found] == [("ok", "inline")] * 3
