"""A backend that returns only text, from a run to the report: missing data is marked absent, with the reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import browser as real
import pytest
import yaml
from command_line import hforch

from hforch import load_llm
from hforch.comparison.bounds import read_bounds
from hforch.comparison.decision import decide
from hforch.comparison.entries import read_jobs
from hforch.comparison.pareto import pareto_set
from hforch.comparison.rows import Row
from hforch.comparison.table import compare
from hforch.errors import GenerationError
from hforch.metrics.metric import Metric
from hforch.records.record_files import read_record, read_samples

REMOTE = ("backend=fake", "backend.remote=true", "inputs=numbers_in_french", "runtime.display=none")
LOCAL = ("backend=fake", "inputs=numbers_in_french", "runtime.display=none")
OTHERWISE = "[{match: 'number 2', text: another answer}]"
WHY = "backend.remote=true returns only text, like an endpoint"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run. Tests must not change it."""
    directory = tmp_path_factory.mktemp("remote") / "run"
    hforch(*REMOTE, "backend.token_s=0.001", f"hydra.run.dir={directory}")
    return directory


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of remote and local jobs with the same and with different answers. Tests must not change it."""
    directory = tmp_path_factory.mktemp("remote") / "sweep"
    words = ("backend.remote=true,false", f"backend.replies=[],{OTHERWISE}")
    hforch("-m", *LOCAL, "backend.token_s=0.001", *words, f"hydra.sweep.dir={directory}")
    return directory


def test_the_record_and_samples_state_what_is_absent_and_why(run: Path) -> None:
    record = read_record(run)
    assert record["status"] == "ok"
    assert record["absent"] == {
        "logits": "backend=fake has no logits to score",
        **dict.fromkeys(("token_ids", "tokenizer", "fingerprint", "memory"), WHY),
    }
    assert record["model"]["fingerprint"] is None
    assert record["memory"] == {"absent": {"peak_rss_mb": WHY, "peak_accelerator_mb": WHY}}
    assert record["metrics"]["tokens_per_s"] > 0 and record["metrics"]["tpot_ms"] > 0
    samples = list(read_samples(run))
    assert len(samples) == 4
    for sample in samples:
        assert (sample["prompt_ids"], sample["output_ids"]) == (None, None)
        assert sample["absent"]["output_ids"] == WHY
        assert sample["prompt_tokens"] > 0 and sample["output_tokens"] > 0 and sample["text"]


def test_it_gives_the_same_answers_as_the_local_backend(run: Path, tmp_path: Path) -> None:
    hforch(*LOCAL, f"hydra.run.dir={tmp_path / 'local'}")
    told = ("text", "finish_reason", "output_tokens", "prompt_tokens")
    remote, local = ([[one[name] for name in told] for one in read_samples(at)] for at in (run, tmp_path / "local"))
    assert remote == local


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["stop.sequences=[' ']"], "stop"),
        (["generation.max_new_tokens=3"], "length"),
    ],
)
def test_stop_sequences_and_limits_apply(words: list[str], reason: str, tmp_path: Path) -> None:
    hforch(*REMOTE, *words, f"hydra.run.dir={tmp_path / 'run'}")
    for sample in read_samples(tmp_path / "run"):
        assert sample["finish_reason"] == reason
        assert sample["output_tokens"] <= 3


def test_an_interrupted_run_is_resumed(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    hforch(*REMOTE, "runtime.batch_size=1", f"hydra.run.dir={directory}")
    file = directory / "samples.jsonl"
    whole = [{**one, "timings": None} for one in read_samples(directory)]
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    hforch("resume", str(directory))
    assert [{**one, "timings": None} for one in read_samples(directory)] == whole
    record = read_record(directory)
    assert record["resumed"] == 1
    told = "model: has no fingerprint; cannot verify that earlier answers are from the same model"
    assert [one for one in record["warnings"] if told in one]


def test_in_langchain_it_streams_and_counts_tokens() -> None:
    llm = load_llm("backend=fake", "backend.remote=true", "stop=newline")
    assert "".join(llm.stream("Where is Paris?")) == llm.invoke("Where is Paris?") != ""
    usage = (llm.generate(["Where is Paris?"]).llm_output or {})["token_usage"]
    assert usage["prompt_tokens"] == 3 and usage["completion_tokens"] > 3
    with pytest.raises(GenerationError, match="this engine has no tokenizer"):
        llm.get_token_ids("Where is Paris?")


def test_missing_ids_without_a_reason_are_reported_as_damage(run: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(run, tmp_path / "run"))
    file = directory / "samples.jsonl"
    first, *others = map(json.loads, file.read_text().splitlines())
    del first["absent"]["output_ids"]
    file.write_text("".join(json.dumps(one) + "\n" for one in (first, *others)))
    done = hforch("compare", str(directory), code=2)
    assert ":1 is not a sample of this run: it has neither an error nor an answer" in done.stderr


# ---------------------------------------------------------------- comparing
def test_missing_fingerprints_are_not_treated_as_equal(sweep: Path) -> None:
    rows = compare(read_jobs([sweep]), {"backend.remote": "True"}).rows
    drifted = [row for row in rows if row.worst]
    assert drifted and all(row.unit == "characters" for row in rows if row.baseline)
    assert {pair.at for row in drifted for pair in row.worst} == {0}


def test_texts_are_compared_without_ids_and_notes_state_why(sweep: Path) -> None:
    done = hforch("compare", str(sweep), "--baseline", "backend.remote=False")
    assert f"no token ids, tokenizer, fingerprint, memory: {WHY}" in done.stdout
    rows = compare(read_jobs([sweep]), {"backend.remote": "False"}).rows
    remote = [row for row in rows if row.entry.get("backend.remote") and row.baseline]
    assert len(remote) == 2 and all(row.unit == "characters" for row in remote)
    assert all(row.metrics["peak_rss_mb"] is None for row in remote)
    assert sorted(row.metrics["exact_match"] or 0.0 for row in remote)[-1] == 1.0


def test_a_requirement_on_a_missing_metric_is_not_met(sweep: Path) -> None:
    comparison = compare(read_jobs([sweep]))
    decision = decide(comparison, read_bounds(["peak_rss_mb<=100000"]), ["peak_rss_mb"])
    refused = {row.entry.get("backend.remote"): why for row, why in decision.refused}
    assert refused == {True: [f"peak_rss_mb is not available: {WHY}"]}
    assert decision.winner is not None and not decision.winner.entry.get("backend.remote")


def test_unknown_memory_is_incomparable_in_the_pareto_set(sweep: Path) -> None:
    rows = compare(read_jobs([sweep])).rows
    for row in rows:  # equal speed and quality, so only memory differs
        row.metrics |= {"tokens_per_s": 10.0, "exact_match": 1.0}

    def pareto(some: list[Row]) -> list[Row]:
        return pareto_set(
            some, lambda one, other, metric: "tie" if row_value(one, metric) == row_value(other, metric) else "better"
        )

    def row_value(row: Row, metric: Metric) -> float | None:
        return row.metrics[metric.name]

    assert pareto([row for row in rows if row.entry.get("backend.remote")]) == [
        row for row in rows if row.entry.get("backend.remote")
    ]
    one, other = (next(row for row in rows if row.entry.get("backend.remote") is told) for told in (True, False))
    assert pareto([one, other]) == [one, other]
    one.metrics["tokens_per_s"] = 5.0
    assert pareto([one, other]) == [one, other]  # it may use less memory
    two = [row for row in rows if row.entry.get("backend.remote")]
    assert pareto(two) == [two[1]]  # jobs that lack the same metric are compared by the others


# ---------------------------------------------------------------- freezing and verifying
@pytest.fixture
def verified(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def verify(recipe: Path, *words: str, code: int = 0) -> dict[str, Any]:
        done = hforch("verify", str(recipe), "--json", *words, code=code, cwd=tmp_path)
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    return verify


def test_a_frozen_run_without_ids_is_compared_by_text(
    run: Path, tmp_path: Path, verified: Callable[..., dict[str, Any]]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    hforch("freeze", str(run), "-o", str(recipe))
    frozen = yaml.safe_load(recipe.read_text())["frozen"]
    assert frozen["compared_by"] == "text" and "fingerprint" not in frozen["model"]
    assert all(one["ids"] is None and one["text"] for one in frozen["outputs"])
    found = verified(recipe)
    assert (found["identical"], found["unit"], found["is_model_known"]) == (True, "characters", False)
    told = hforch("verify", str(recipe), cwd=tmp_path).stdout
    assert "identical: all 4 outputs match, character for character" in told
    assert "cannot check whether the model is the same: it has no fingerprint" in told
    assert "unchanged: configuration, versions, machine" in told
    assert verified(recipe, "backend.remote=false")["identical"]  # this backend has ids, the recipe has none
    changed = verified(recipe, f"backend.replies={OTHERWISE}", code=3)
    assert [one["at"] for one in changed["differences"]] == [0]


def test_an_edited_text_is_rejected(run: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    hforch("freeze", str(run), "-o", str(recipe))
    data = yaml.safe_load(recipe.read_text())
    data["frozen"]["outputs"][1]["text"] = "something else"
    recipe.write_text(yaml.safe_dump(data))
    done = hforch("verify", str(recipe), code=2, cwd=tmp_path)
    assert "does not match sha256" in done.stderr


def test_a_model_without_fingerprint_cannot_repeat_a_run_that_has_one(tmp_path: Path) -> None:
    hforch(*LOCAL, f"hydra.run.dir={tmp_path / 'run'}")
    recipe = tmp_path / "recipe.yaml"
    hforch("freeze", str(tmp_path / "run"), "-o", str(recipe))
    done = hforch("verify", str(recipe), "backend.remote=true", code=2, cwd=tmp_path)
    assert f"the fingerprint of its weights was fake... and is now missing: {WHY}" in done.stderr


# ---------------------------------------------------------------- the page
def test_the_report_shows_answers_and_absent_data(sweep: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    hforch("report", str(sweep), "--optimize", "tokens_per_s", "-o", str(page))
    with real.browser() as opened:
        seen = real.open_page(opened, page, charts=False)
        assert len(seen.texts("table.jobs tbody th button")) == 4
        assert f"no token ids, tokenizer, fingerprint, memory: {WHY}" in seen.page.inner_text("table.jobs")
        assert seen.is_quiet()
