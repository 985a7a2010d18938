"""Single jobs on the fake backend: their records, and the effects of failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hforch.config.compose import job_from_overrides
from hforch.errors import ConfigError
from hforch.records.record import SCHEMA_VERSION
from hforch.records.record_files import read_record, read_samples
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

FRENCH = ("backend=fake", "inputs=numbers_in_french")


def do(directory: Path, *overrides: str, code: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    job = job_from_overrides([*overrides, "runtime.isolation=inline"])
    assert run(job, directory, JobContext(overrides), NullWatcher()) == code
    return read_record(directory), list(read_samples(directory))


def test_a_run_leaves_a_record_and_a_line_for_each_sample(tmp_path: Path) -> None:
    record, samples = do(tmp_path, *FRENCH, "runtime.batch_size=3")
    assert record["schema_version"] == SCHEMA_VERSION
    assert (record["status"], record["exit_code"], record["error"]) == ("ok", 0, None)
    assert record["overrides"] == [*FRENCH, "runtime.batch_size=3"]
    assert record["job"]["runtime"]["batch_size"] == 3
    assert [sample["index"] for sample in samples] == [0, 1, 2, 3]
    assert [sample["batch"] for sample in samples] == [
        {"index": 0, "size": 3, "place": 0},
        {"index": 0, "size": 3, "place": 1},
        {"index": 0, "size": 3, "place": 2},
        {"index": 1, "size": 1, "place": 0},
    ]
    assert [len(batch) for batch in record["plan"]] == [3, 1]
    totals = record["totals"]
    assert totals["samples"] == 4 and totals["failed"] == 0
    assert totals["output_tokens"] == sum(len(sample["output_ids"]) for sample in samples)
    assert {"packages", "python", "os", "cpu", "git"} <= set(record["environment"])
    assert record["effective"]["decoding"]["max_new_tokens"] == 64


def test_the_recorded_prompt_is_the_rendered_one(tmp_path: Path) -> None:
    _, (sample,) = do(tmp_path / "template", "backend=fake", "prompt=step_by_step", "inputs=eeg")
    question = "What is electroencephalography?"
    assert sample["prompt"] == f"Question: {question}\n\nAnswer: Let's think step by step."
    _, (sample,) = do(tmp_path / "chat", "backend=fake", "inputs=eeg", "prompt=chat", "prompt.system=Be brief.")
    assert sample["prompt"] == f"system: Be brief.\nuser: {question}\nassistant:"
    _, (sample,) = do(tmp_path / "raw", "backend=fake", "prompt=raw", "inputs.items=['{as} it is']")
    assert sample["prompt"] == "{as} it is" == sample["input"]


def test_echo_puts_the_prompt_before_the_text(tmp_path: Path) -> None:
    _, (sample,) = do(tmp_path, "backend=fake", "prompt.echo=true")
    assert sample["text"].startswith(sample["prompt"])


def test_a_failed_sample_does_not_affect_the_others(tmp_path: Path) -> None:
    failing = "backend.failures=[{match: number 2, error: out of ink, after: 1}]"
    record, samples = do(tmp_path, *FRENCH, failing, "runtime.batch_size=1", "runtime.warmup=0", code=1)
    assert record["status"] == "failed"
    assert [sample["error"] for sample in samples] == [
        None,
        None,
        {"type": "GenerationError", "message": "out of ink"},
        None,
    ]
    assert samples[2]["finish_reason"] == "error" and samples[2]["text"] is None
    assert record["totals"]["failed"] == 1


def test_fail_fast_stops_at_the_first_failure(tmp_path: Path) -> None:
    failing = "backend.failures=[{match: number 1, error: out of ink, after: 0}]"
    more = ("runtime.batch_size=1", "runtime.warmup=0", "runtime.fail_fast=true")
    _, samples = do(tmp_path, *FRENCH, failing, *more, code=1)
    assert [bool(sample["error"]) for sample in samples] == [False, True]


def test_all_repeats_are_recorded(tmp_path: Path) -> None:
    record, samples = do(tmp_path, *FRENCH, "runtime.repeat=3")
    assert [sample["repeat"] for sample in samples] == [0] * 4 + [1] * 4 + [2] * 4
    assert len(record["plan"]) == 1


def test_equal_inputs_have_different_ids(tmp_path: Path) -> None:
    _, samples = do(tmp_path, "backend=fake", "inputs.items=[one, two, one]")
    first, _, again = (sample["input_id"] for sample in samples)
    assert again == f"{first}-2"


def test_known_delays_are_measured_correctly(tmp_path: Path) -> None:
    delays = ("backend.load_s=0.3", "backend.prefill_s=0.2", "backend.token_s=0.05")
    record, (sample,) = do(tmp_path, "backend=fake", *delays, "generation.max_new_tokens=5", "runtime.warmup=0")
    timings = sample["timings"]
    assert 200 <= timings["ttft_ms"] < 400
    assert 50 <= timings["tpot_ms"] < 100
    assert timings["queue_ms"] < 100
    parts = timings["queue_ms"] + timings["ttft_ms"] + 4 * timings["tpot_ms"]
    assert parts == pytest.approx(timings["latency_ms"], abs=20)
    assert record["timings"]["load_s"] >= 0.3
    assert "warmup_s" not in record["timings"]
    metrics = record["metrics"]
    assert metrics["measured_s"] >= 0.4
    assert metrics["tokens_per_s"] == pytest.approx(5 / metrics["measured_s"], rel=1e-2)
    assert metrics["ttft_ms"] == timings["ttft_ms"]


def test_warm_up_is_not_measured(tmp_path: Path) -> None:
    more = ("backend.prefill_s=0.1", "runtime.warmup=3", "generation.max_new_tokens=1")
    record, samples = do(tmp_path, "backend=fake", *more)
    assert record["timings"]["warmup_s"] >= 0.3
    assert 0.1 <= record["metrics"]["measured_s"] < 0.3
    assert len(samples) == 1


def test_waiting_within_one_call_counts_as_queue_time() -> None:
    from hforch import load_llm

    llm = load_llm("backend=fake", "backend.prefill_s=0.1", "runtime.batch_size=1", "generation.max_new_tokens=1")
    infos = [g[0].generation_info for g in llm.generate(["a", "b", "c"]).generations]
    assert infos[0]["timings"]["queue_ms"] < 100 <= infos[1]["timings"]["queue_ms"]
    assert infos[2]["timings"]["queue_ms"] >= 200
    assert all(100 <= info["timings"]["ttft_ms"] < 200 for info in infos)


def test_unknown_values_are_absent_with_a_reason_and_never_zero(tmp_path: Path) -> None:
    record, _ = do(tmp_path, "backend=fake", "generation.max_new_tokens=1")
    assert "tpot_ms" not in record["metrics"]
    assert record["metrics"]["absent"]["tpot_ms"] == "fewer than two output tokens"
    assert "peak_accelerator_mb" in record["memory"]["absent"]
    failing = "backend.failures=[{match: '', error: none today, after: 0}]"
    record, _ = do(tmp_path / "2", "backend=fake", failing, "runtime.warmup=0", code=1)
    assert record["metrics"]["absent"]["tokens_per_s"] == "no sample succeeded"


def test_an_input_without_the_prompts_variable_is_a_config_error(tmp_path: Path) -> None:
    inputs = tmp_path / "rows.jsonl"
    inputs.write_text('{"question": "a"}\n{"other": "b"}\n', encoding="utf-8")
    with pytest.raises(
        ConfigError, match="input 2: missing column 'question', which the prompt uses; available: 'other'"
    ):
        do(tmp_path / "run", "backend=fake", "inputs=file", f"inputs.path={inputs}")
    assert read_record(tmp_path / "run")["status"] == "failed"


def test_runs_bypass_the_langchain_cache(tmp_path: Path) -> None:
    from langchain_core.caches import InMemoryCache
    from langchain_core.globals import set_llm_cache

    cache = InMemoryCache()
    set_llm_cache(cache)
    try:
        do(tmp_path / "1", *FRENCH)
        do(tmp_path / "2", *FRENCH)
    finally:
        set_llm_cache(None)
    assert not cache._cache


def test_credentials_never_reach_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "correct-horse-battery")
    other = "hf_" + "a1B2" * 8
    do(tmp_path, "backend=fake", f"inputs.items=['correct-horse-battery and {other}']")
    written = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "correct-horse" not in written and other not in written
    assert "*** and ***" in written


def test_a_prompt_longer_than_the_models_context_fails_only_its_sample(tmp_path: Path, tiny_gpt2: Path) -> None:
    items = json.dumps(["short one", "word " * 300, "short two"])
    overrides = ("model=local", f"model.path={tiny_gpt2}", f"inputs.items={items}", "generation.max_new_tokens=4")
    record, samples = do(tmp_path, *overrides, "prompt=raw", code=1)
    by_index = {sample["index"]: sample for sample in samples}
    assert "context length (128)" in by_index[1]["error"]["message"]
    assert by_index[0]["text"] and by_index[2]["text"]
    assert record["totals"]["failed"] == 1


def test_a_resumed_run_that_is_killed_before_loading_keeps_finished_samples(tmp_path: Path) -> None:
    words = (*FRENCH, "runtime.batch_size=1", "runtime.isolation=inline")
    _, samples = do(tmp_path, *words)
    file = tmp_path / "samples.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))

    class Killed(NullWatcher):
        def header(self, parts: Any) -> None:
            raise SystemExit

    resumed = JobContext(words, resume=True)
    with pytest.raises(SystemExit):
        run(job_from_overrides(words), tmp_path, resumed, Killed())
    assert read_record(tmp_path)["status"] == "partial"
    assert run(job_from_overrides(words), tmp_path, resumed, NullWatcher()) == 0
    assert list(read_samples(tmp_path))[:-1] == samples[:-1]  # same timings: no input was answered again
