"""Scored sweeps: the choice and order of baselines, and the use of scores."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import yaml
from command_line import hforch

from hforch.records.record_files import read_record, read_samples

pytestmark = pytest.mark.model

ASKED = (
    *("inputs=numbers_in_french", "generation.max_new_tokens=12", "generation.ignore_eos=true"),
    *("runtime.warmup=0", "scoring=both", "scoring.text.window=64", "scoring.baseline.top_k=50"),
)


def sweep(directory: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return hforch("-m", *ASKED, *words, f"hydra.sweep.dir={directory}", code=code)


def local(*folders: Path) -> tuple[str, ...]:
    return "model=local", f"model.path={','.join(map(str, folders))}"


def rows(directory: Path, *words: str) -> list[dict[str, Any]]:
    return json.loads(hforch("compare", str(directory), "--format", "json", *words).stdout)["rows"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def scored(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A scored sweep and its output; its baseline is job 1."""
    directory = tmp_path_factory.mktemp("scored") / "sweep"
    words = (*local(tiny_gpt2), "backend=openvino_genai,openvino", "precision=int8,fp32")
    return directory, sweep(directory, *words).stdout


@pytest.mark.openvino
def test_the_baseline_is_the_most_precise_and_is_run_first(scored: tuple[Path, str]) -> None:
    directory, printed = scored
    found = {one.parent.name: read_record(one.parent) for one in directory.glob("*/record.json")}
    assert [one["baseline"] for one in json.loads((directory / "sweep.json").read_text())["jobs"]] == [1] * 4
    assert min(found, key=lambda name: found[name]["started"]) == "1"
    for name, record in found.items():
        assert record["scores"]["against_baseline"]["baseline"] == ("." if name == "1" else "../1")
        genai = record["job"]["backend"]["name"] == "openvino_genai"
        assert record["scores"]["read_by"] == ("openvino, with the same IR and properties" if genai else "openvino")
    assert found["1"]["scores"]["metrics"]["kl_max"] == 0.0
    assert found["3"]["scores"]["metrics"]["kl_max"] < 1e-4  # the same weights with the other engine
    assert found["0"]["scores"]["metrics"]["kl_mean"] > 10 * found["3"]["scores"]["metrics"]["kl_mean"]
    assert (directory / "1" / "distributions.bin").stat().st_size < 4 * 12 * 50 * 8 + 2000
    assert "MB of log-probabilities" in printed
    assert not (directory / "0" / "distributions.bin").exists()


@pytest.mark.openvino
def test_compare_shows_scores_and_decides_by_them(scored: tuple[Path, str]) -> None:
    directory, printed = scored
    assert re.search(r"KL mean +KL p99", printed) and "95% interval" in printed
    int8, fp32, *_ = rows(directory)
    assert int8["metrics"]["kl_mean_se"] > 0 and int8["metrics"]["ppl_ratio_se"] > 0
    assert int8["metrics"]["ppl_ratio"] == pytest.approx(int8["metrics"]["ppl"] / fp32["metrics"]["ppl"], rel=1e-4)
    assert fp32["metrics"]["ppl_ratio"] == 1.0
    bound = int8["metrics"]["kl_mean"] / 2
    words = ("--require", f"kl_mean<={bound}", "--optimize", "kl_mean", "--format", "json")
    decided = json.loads(hforch("compare", str(directory), *words).stdout)["decision"]
    assert decided["winner"] == "3" and set(decided["refused"]) == {"0", "2"}  # the baseline is not ranked
    assert "kl_mean=" in decided["refused"]["0"][0]
    hforch("compare", str(directory), "--require", "ppl_ratio<0.5", code=3)
    header = hforch("compare", str(directory), "--format", "csv").stdout.splitlines()[0].split(",")
    assert {"kl_mean", "kl_mean_se", "kl_p99_se", "flips_early", "bits_per_byte"} <= set(header)


@pytest.mark.openvino
def test_compare_with_another_baseline_shows_no_scores(scored: tuple[Path, str]) -> None:
    directory, _ = scored
    others = rows(directory, "--baseline", "backend=openvino,precision=fp32")
    told = f"KL divergence and flips omitted: computed against a different baseline ({directory.name}/1)"
    assert told in others[0]["notes"] and others[0]["metrics"]["kl_mean"] is None
    assert not any("computed against" in note for note in rows(directory)[0]["notes"])


@pytest.mark.openvino
def test_a_frozen_recipe_contains_scores_and_does_not_score_again(scored: tuple[Path, str], tmp_path: Path) -> None:
    directory, _ = scored
    hforch("freeze", str(directory / "3"), "-o", str(tmp_path / "won.yaml"))
    told = yaml.safe_load((tmp_path / "won.yaml").read_text())["frozen"]["scores"]
    assert told == read_record(directory / "3")["scores"]["metrics"] and {"kl_mean", "ppl"} <= set(told)
    hforch("verify", str(tmp_path / "won.yaml"), "--output", str(tmp_path / "again"))
    assert "scores" not in read_record(tmp_path / "again")


def test_a_dry_run_shows_the_size_of_the_log_probabilities(tiny_gpt2: Path, tmp_path: Path) -> None:
    words = (*local(tiny_gpt2), "backend=pytorch,openvino", "scoring.baseline.top_k=256", "inputs=facts")
    done = sweep(tmp_path / "sweep", *words, "--dry-run")
    expected = round(8 * 12 * 256 * 8 / 1e6, 1)
    assert f"Job 0, the baseline, stores up to {expected} MB of log-probabilities" in done.stdout
    assert not (tmp_path / "sweep").exists()


@pytest.mark.openvino
def test_a_resumed_sweep_does_not_score_the_baseline_again(scored: tuple[Path, str], tmp_path: Path) -> None:
    directory = shutil.copytree(scored[0], tmp_path / "sweep")
    for name in ("0", "1"):  # job 0 has answers and no scores; the baseline is unchanged
        record = read_record(directory / name)
        if name == "0":
            del record["scores"]
            record |= {"status": "partial"}
        (directory / name / "record.json").write_text(json.dumps(record))
    before = {one: one.read_bytes() for one in directory.glob("*/samples.jsonl")}
    began = (directory / "1" / "distributions.bin").stat().st_mtime_ns
    hforch("resume", str(directory))
    assert read_record(directory / "0")["scores"]["metrics"] == read_record(scored[0] / "0")["scores"]["metrics"]
    assert {one: one.read_bytes() for one in before} == before
    assert (directory / "1" / "distributions.bin").stat().st_mtime_ns == began


def test_a_launcher_runs_the_baselines_first(tiny_gpt2: Path, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "runtime.threads=1", "backend=openvino")
    sweep(tmp_path, *local(tiny_gpt2), *words, "precision=int8,int4,fp32")
    found = [read_record(tmp_path / name)["scores"] for name in ("0", "1", "2")]
    assert [one["against_baseline"]["baseline"] for one in found] == ["../2", "../2", "."]
    assert found[0]["metrics"]["kl_mean"] > 0 == found[2]["metrics"]["kl_mean"]


def test_other_jobs_keep_their_answers_if_the_baseline_fails(tmp_path: Path) -> None:
    good, bad = (tiny_models.save_gptj(tmp_path / name) for name in ("good", "bad"))
    config = json.loads((bad / "config.json").read_text())
    (bad / "config.json").write_text(json.dumps(config | {"n_embd": 48}))  # does not match its weights
    of = f'scoring.baseline.of="model.path={bad}"'
    done = sweep(tmp_path / "sweep", *local(good, bad), "backend=pytorch", of, code=1)
    record = read_record(tmp_path / "sweep" / "0")
    assert record["totals"]["samples"] == 4 and record["totals"]["failed"] == 0
    assert "has no distributions to compare with: " in record["error"]["message"]
    assert "has no distributions to compare with" in done.stdout + done.stderr
    assert len(list(read_samples(tmp_path / "sweep" / "0"))) == 4
    assert rows(tmp_path / "sweep")[0]["metrics"]["tokens_per_s"] > 0


def test_with_another_tokenizer_only_bits_per_byte_are_comparable(tiny_gpt2: Path, tmp_path: Path) -> None:
    other = tiny_models.save_gpt2(tmp_path / "other", chat_template="{{ messages }}")
    of = f'scoring.baseline.of="model.path={tiny_gpt2}"'
    sweep(tmp_path / "sweep", *local(tiny_gpt2, other), "backend=pytorch", "prompt=question", of)
    _, row = rows(tmp_path / "sweep", "--baseline", f"model.path={tiny_gpt2}")
    assert row["metrics"]["kl_mean"] is None and row["metrics"]["flips_early"] is None
    assert row["metrics"]["ppl_ratio"] is None and row["metrics"]["bits_per_byte"] > 0
    assert "not scored against the baseline: the baseline has a different tokenizer" in row["notes"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("prompt=raw,question",), "no baseline: no two jobs differ only in how the model is loaded"),
        (("precision=fp32,int8", "backend=openvino", 'scoring.baseline.of="precision=int4"'), "no job has precision"),
        (("precision=fp32,int8", "backend=openvino", "scoring.baseline.of=nonsense"), "no job 'nonsense'"),
        (("precision=fp32,int8", "backend=openvino", "scoring.baseline.top_k=9999"), "scoring.baseline.top_k: must be"),
        (("precision=fp32,int8", "backend=openvino", "scoring.text.path=no.txt"), "scoring.text.path: cannot read no"),
    ],
)
def test_invalid_scoring_is_rejected_before_anything_is_run(
    words: tuple[str, ...], said: str, tiny_gpt2: Path, tmp_path: Path
) -> None:
    done = sweep(tmp_path / "sweep", *local(tiny_gpt2), *words, code=2)
    assert said in done.stderr and "set in" in done.stderr
    assert not list((tmp_path / "sweep").glob("*/record.json"))


def test_a_single_run_has_no_baseline(tiny_gpt2: Path, tmp_path: Path) -> None:
    done = hforch(*local(tiny_gpt2), "scoring=baseline", f"hydra.run.dir={tmp_path / 'run'}", code=2)
    assert "a single run has no baseline to compare with" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_smaller_kv_cache_increases_the_divergence(tmp_path: Path) -> None:
    words = ("backend=openvino", "precision=fp32", "ov_config=accuracy", "prompt=chat", "inputs=facts")
    kinds = ("ov_config.KV_CACHE_PRECISION=f32,u8,u4", "generation.max_new_tokens=16", "scoring=baseline")
    of = "scoring.baseline.of='ov_config.KV_CACHE_PRECISION=f32'"
    hforch("-m", *words, *kinds, of, f"hydra.sweep.dir={tmp_path}")
    f32, u8, u4 = (row["metrics"]["kl_mean"] for row in rows(tmp_path))
    assert f32 == 0.0 < u8 < u4


def test_a_scored_engine_is_loaded_again_for_the_next_job(tiny_gpt2: Path, tmp_path: Path) -> None:
    """Memory that scoring has touched would otherwise count as the next job's."""
    words = (*local(tiny_gpt2), "backend=openvino", "prompt=raw,question")
    for scoring, shared in (("text", [False, False]), ("none", [False, True])):
        asked = ("inputs=numbers_in_french", "generation.max_new_tokens=4", f"scoring={scoring}")
        hforch("-m", *asked, *words, f"hydra.sweep.dir={tmp_path / scoring}")
        assert [read_record(tmp_path / scoring / name)["shared_load"] for name in "01"] == shared
