"""Tests of the comparison of openvino_genai with OpenVINO, which computes the scores of its jobs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import EXACT
from command_line import hforch

from hforch import load_llm
from hforch.backends.genai import engine_check
from hforch.backends.genai.engine_check import Deviation, prompt_lengths
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.config.compose import job_from_overrides
from hforch.errors import BackendError
from hforch.models import subprocesses
from hforch.models.architecture import attention_lengths
from hforch.records.record_files import read_record
from hforch.runs import JobContext, run
from hforch.runs.watcher import NullWatcher

BACKEND = "backend=openvino_genai"
AGREES = Deviation(0.2, 0.3, 0.03, 0.25, 0.02, 3.0, 64, 45)


# ---------------------------------------------------------------- without a model
def test_rounding_explains_differences_of_its_own_size() -> None:
    assert AGREES.is_explained
    assert not replace(AGREES, mean=0.1).is_explained
    assert not replace(AGREES, margin=1.1).is_explained
    assert not replace(AGREES, largest=2.1).is_explained
    exact = Deviation(0.0, 0.0003, 0.0002, 0.0, 0.0, 3.0, 64, 45)
    assert exact.is_explained
    assert not replace(exact, largest=0.01).is_explained


@pytest.mark.parametrize("name", ["margin", "largest", "mean", "mean_rounding", "spread"])
def test_rounding_never_explains_nan(name: str) -> None:
    assert not replace(AGREES, **{name: math.nan}).is_explained


@pytest.mark.parametrize(
    ("config", "lengths"),
    [
        ({}, []),
        ({"window_size": 256}, [256]),
        ({"sliding_window": None, "max_position_embeddings": 4096}, []),
        ({"sliding_window": 4096, "use_sliding_window": False}, []),
        ({"sliding_window": 4096, "use_sliding_window": True}, [4096]),
        ({"text_config": {"sliding_window": 512}}, [512]),
        ({"rope_scaling": {"rope_type": "yarn", "original_max_position_embeddings": 2048}}, [2048]),
        ({"original_max_position_embeddings": 4096, "sliding_window": 2047}, [2047, 4096]),
        ({"rope_parameters": {"full_attention": {"original_max_position_embeddings": 1024}}}, [1024]),
        ({"rope_scaling": "none", "window_size": True}, []),
    ],
)
def test_attention_changes_at_windows_and_at_scaled_positions(config: dict[str, Any], lengths: list[int]) -> None:
    assert attention_lengths(config) == lengths


def test_prompts_are_shorter_and_longer_than_the_window_if_texts_can_be() -> None:
    config = {"window_size": 256, "max_position_embeddings": 2048}
    assert prompt_lengths(config, None) == [(7, 64), (45, 64), (224, 64), (272, 64)]
    assert prompt_lengths(config, lambda: 257) == prompt_lengths(config, None)
    assert prompt_lengths(config, lambda: 256) == [(7, 64), (45, 64)]


def test_prompts_and_completions_fit_into_the_context() -> None:
    assert prompt_lengths({"max_position_embeddings": 64}, None) == [(7, 57), (45, 19)]
    assert prompt_lengths({"max_position_embeddings": 4}, None) == [(1, 3)]


# ---------------------------------------------------------------- with models
@pytest.fixture(scope="module")
def gpt_neo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_gpt_neo(tmp_path_factory.mktemp("neo") / "neo", window=128)


def short(folder: Path) -> tuple[str, ...]:
    return "model=local", f"model.path={folder}", "generation.max_new_tokens=8", "runtime.warmup=0", "prompt=raw"


@pytest.mark.slow
def test_an_engine_that_ignores_the_window_is_rejected(gpt_neo: Path, tmp_path: Path) -> None:
    longer = "word " * 40
    words = (*short(gpt_neo), f"inputs.items=['{longer}']")
    out = hforch(*words, BACKEND, f"hydra.run.dir={tmp_path / 'long'}", code=1)
    assert "openvino_genai runs neo (architecture 'gpt_neo') incorrectly: at full precision" in out.stderr
    assert "Use backend=openvino." in out.stderr
    assert read_record(tmp_path / "long")["totals"]["samples"] == 0
    hforch(*words, "backend=openvino", f"hydra.run.dir={tmp_path / 'openvino'}")


@pytest.mark.slow
def test_texts_shorter_than_the_window_are_generated(gpt_neo: Path, tmp_path: Path) -> None:
    texts = []
    for backend in ("openvino", "openvino_genai"):
        words = (*short(gpt_neo), f"backend={backend}", *EXACT, f"hydra.run.dir={tmp_path / backend}")
        hforch(*words, "inputs.items=['The number three']")
        texts.append((tmp_path / backend / "samples.jsonl").read_text().split('"text"')[1].split('",')[0])
    assert texts[0] == texts[1]
    found = read_record(tmp_path / "openvino_genai")["model"]["engine_check"]
    assert found["agrees"] is True
    assert (found["prompt_tokens"], found["tokens"]) == (45, 128)
    assert found["difference"] < 1e-5


@pytest.mark.slow
@pytest.mark.openvino
def test_without_inputs_the_engine_is_compared_with_long_prompts(gpt_neo: Path) -> None:
    with pytest.raises(BackendError, match="prompts of up to 144 tokens"):
        load_llm(*short(gpt_neo), BACKEND)


@pytest.mark.slow
def test_an_engine_is_compared_once_for_each_export_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_models.save_llama(tmp_path / "mistral", window=16)
    asked: list[str] = []
    started = subprocesses.run

    def run(module: str, *rest: Any, **more: Any) -> Any:
        asked.append(module.rpartition(".")[2])
        return started(module, *rest, **more)

    monkeypatch.setenv("HFORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(subprocesses, "run", run)
    for more in ((), (), ("ov_config=kv_u8",), ("runtime.threads=1",)):
        load_llm(*short(folder), BACKEND, *more).close()
    compared = [name for name in asked if name == "engine_check_process"]
    assert len(compared) == 3, asked  # at full precision, with the default settings, and with kv_u8


@pytest.mark.slow
def test_scores_of_a_different_engine_are_absent_and_meet_no_requirement(
    tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = engine_check._measure

    def with_other_settings(engine: Any, device: str, properties: Any, *rest: Any) -> Any:
        found = measure(engine, device, properties, *rest)
        return found if properties == engine_check.EXACT else replace(found, mean=0.5)

    monkeypatch.setattr(engine_check, "_measure", with_other_settings)
    base = tmp_path / "0"
    for directory, backend in ((base, "backend=openvino"), (tmp_path / "1", BACKEND)):
        words = [*short(tiny_gpt2), backend, "scoring=both", "scoring.text.window=64", "runtime.isolation=inline"]
        job = job_from_overrides(words)
        assert run(job, directory, JobContext(tuple(words), baseline=base), NullWatcher()) == 0
    record = read_record(tmp_path / "1")
    assert record["model"]["engine_check"]["agrees"] is False
    reason = record["scores"]["against_baseline"]["absent"]["kl_mean"]
    assert "openvino_genai's log-probabilities differ from OpenVINO's by 0.5 nats on average" in reason
    assert record["scores"]["on_text"]["absent"]["ppl"] == reason
    assert any(reason in warning for warning in record["warnings"])
    row = compare(read_jobs([tmp_path])).rows[1]
    assert row.metrics["kl_mean"] is None and row.metrics["ppl"] is None
    assert any(reason in note for note in row.notes)
    out = hforch("compare", str(tmp_path), "--require", "kl_mean<=0.05")
    assert "not qualified: 1" in out.stdout + out.stderr


@pytest.mark.slow
def test_an_engine_that_cannot_be_compared_has_no_scores(
    tiny_gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocesses, "run", lambda *rest, **more: {"failed": "out of luck"})
    words = [*short(tiny_gpt2), BACKEND, "ov_config=latency", "scoring=text", "scoring.text.window=64"]
    job = job_from_overrides([*words, "runtime.isolation=inline"])
    assert run(job, tmp_path, JobContext(tuple(words)), NullWatcher()) == 0
    record = read_record(tmp_path)
    assert record["model"]["engine_check"] == {"agrees": None, "reason": "out of luck"}
    assert "could not be compared with openvino_genai: out of luck" in record["scores"]["on_text"]["absent"]["ppl"]
