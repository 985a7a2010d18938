"""A backend that tells text alone, from a run to the page: what it lacks is absent, with the reason."""

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
from hforch.comparison.decision import decide, pareto_set, read_bounds
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.errors import GenerationError
from hforch.records.record_files import read_record, read_samples

REMOTE = ("backend=fake", "backend.remote=true", "inputs=numbers_in_french", "runtime.display=none")
LOCAL = ("backend=fake", "inputs=numbers_in_french", "runtime.display=none")
OTHERWISE = "[{match: 'number 2', text: another answer}]"
WHY = "backend.remote: only text is returned, as from an endpoint"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run; not to be changed."""
    directory = tmp_path_factory.mktemp("remote") / "run"
    hforch(*REMOTE, "backend.token_s=0.001", f"hydra.run.dir={directory}")
    return directory


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Remote and local jobs that answer the same, and a remote one that answers otherwise; not to be changed."""
    directory = tmp_path_factory.mktemp("remote") / "sweep"
    words = ("backend.remote=true,false", f"backend.replies=[],{OTHERWISE}")
    hforch("-m", *LOCAL, "backend.token_s=0.001", *words, f"hydra.sweep.dir={directory}")
    return directory


def test_its_record_and_samples_say_what_is_absent_and_why(run: Path) -> None:
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


def test_it_answers_as_the_local_one_does(run: Path, tmp_path: Path) -> None:
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
def test_stops_and_limits_are_kept(words: list[str], reason: str, tmp_path: Path) -> None:
    hforch(*REMOTE, *words, f"hydra.run.dir={tmp_path / 'run'}")
    for sample in read_samples(tmp_path / "run"):
        assert sample["finish_reason"] == reason
        assert sample["output_tokens"] <= 3


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    hforch(*REMOTE, "runtime.batch_size=1", f"hydra.run.dir={directory}")
    file = directory / "samples.jsonl"
    whole = [{**one, "timings": None} for one in read_samples(directory)]
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:2]))
    hforch("resume", str(directory))
    assert [{**one, "timings": None} for one in read_samples(directory)] == whole
    record = read_record(directory)
    assert record["resumed"] == 1
    told = "model: has no fingerprint, so whether the same one has answered before is not known"
    assert [one for one in record["warnings"] if told in one]


def test_in_langchain_it_streams_what_it_answers_and_counts_tokens() -> None:
    llm = load_llm("backend=fake", "backend.remote=true", "stop=newline")
    assert "".join(llm.stream("Where is Paris?")) == llm.invoke("Where is Paris?") != ""
    usage = (llm.generate(["Where is Paris?"]).llm_output or {})["token_usage"]
    assert usage["prompt_tokens"] == 3 and usage["completion_tokens"] > 3
    with pytest.raises(GenerationError, match="this engine has no tokenizer"):
        llm.get_token_ids("Where is Paris?")


def test_ids_that_are_missing_without_a_reason_are_damage(run: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(run, tmp_path / "run"))
    file = directory / "samples.jsonl"
    first, *others = map(json.loads, file.read_text().splitlines())
    del first["absent"]["output_ids"]
    file.write_text("".join(json.dumps(one) + "\n" for one in (first, *others)))
    done = hforch("compare", str(directory), code=2)
    assert ":1 is no sample of this run: it has neither an error nor an answer" in done.stderr


# ---------------------------------------------------------------- comparing
def test_two_missing_fingerprints_are_not_the_same_model(sweep: Path) -> None:
    rows = compare(read_jobs([sweep]), {"backend.remote": "True"}).rows
    drifted = [row for row in rows if row.worst]
    assert drifted and all(row.unit == "characters" for row in rows if row.baseline)
    assert {pair.at for row in drifted for pair in row.worst} == {0}


def test_texts_are_compared_without_ids_and_notes_tell_why(sweep: Path) -> None:
    done = hforch("compare", str(sweep), "--baseline", "backend.remote=False")
    assert f"no token ids, tokenizer, fingerprint, memory: {WHY}" in done.stdout
    rows = compare(read_jobs([sweep]), {"backend.remote": "False"}).rows
    remote = [row for row in rows if row.entry.get("backend.remote") and row.baseline]
    assert len(remote) == 2 and all(row.unit == "characters" for row in remote)
    assert all(row.metrics["peak_rss_mb"] is None for row in remote)
    assert sorted(row.metrics["exact_match"] or 0.0 for row in remote)[-1] == 1.0


def test_a_bound_on_what_it_lacks_is_not_met_and_says_why(sweep: Path) -> None:
    comparison = compare(read_jobs([sweep]))
    decision = decide(comparison, read_bounds(["peak_rss_mb<=100000"]), "tokens_per_s")
    refused = {row.entry.get("backend.remote"): why for row, why in decision.refused}
    assert refused == {True: [f"peak_rss_mb is not known: {WHY}"]}
    assert decision.winner is not None and not decision.winner.entry.get("backend.remote")


def test_memory_that_cannot_be_measured_beats_no_job_and_is_beaten_by_none(sweep: Path) -> None:
    rows = compare(read_jobs([sweep])).rows
    for row in rows:  # as fast and as good, so memory alone decides
        row.metrics |= {"tokens_per_s": 10.0, "exact_match": 1.0}
    assert pareto_set([row for row in rows if row.entry.get("backend.remote")]) == [
        row for row in rows if row.entry.get("backend.remote")
    ]
    one, other = (next(row for row in rows if row.entry.get("backend.remote") is told) for told in (True, False))
    assert pareto_set([one, other]) == [one, other]
    one.metrics["tokens_per_s"] = 5.0
    assert pareto_set([one, other]) == [one, other]  # it may take less memory
    two = [row for row in rows if row.entry.get("backend.remote")]
    assert pareto_set(two) == [two[1]]  # of jobs that lack the same, the rest decides


# ---------------------------------------------------------------- freezing and verifying
@pytest.fixture
def verified(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def verify(recipe: Path, *words: str, code: int = 0) -> dict[str, Any]:
        done = hforch("verify", str(recipe), "--json", *words, code=code, cwd=tmp_path)
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    return verify


def test_a_frozen_run_is_compared_by_its_texts(
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
    assert "identical: all 4 outputs are the frozen ones, letter for letter" in told
    assert "the model has no fingerprint, so whether it is the same is not known" in told
    assert "configuration, versions and machine are as they were" in told
    assert verified(recipe, "backend.remote=false")["identical"]  # that has ids, which the recipe lacks
    changed = verified(recipe, f"backend.replies={OTHERWISE}", code=3)
    assert [one["at"] for one in changed["differences"]] == [0]


def test_a_text_that_was_changed_by_hand_is_refused(run: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    hforch("freeze", str(run), "-o", str(recipe))
    data = yaml.safe_load(recipe.read_text())
    data["frozen"]["outputs"][1]["text"] = "something else"
    recipe.write_text(yaml.safe_dump(data))
    done = hforch("verify", str(recipe), code=2, cwd=tmp_path)
    assert "is not that which sha256 was taken of" in done.stderr


def test_a_run_with_a_fingerprint_is_not_repeated_by_a_model_without_one(tmp_path: Path) -> None:
    hforch(*LOCAL, f"hydra.run.dir={tmp_path / 'run'}")
    recipe = tmp_path / "recipe.yaml"
    hforch("freeze", str(tmp_path / "run"), "-o", str(recipe))
    done = hforch("verify", str(recipe), "backend.remote=true", code=2, cwd=tmp_path)
    assert f"the fingerprint of its weights was fake..., and now it has none: {WHY}" in done.stderr


# ---------------------------------------------------------------- the page
def test_the_page_shows_its_answers_and_what_is_absent(sweep: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    hforch("report", str(sweep), "--optimize", "tokens_per_s", "-o", str(page))
    with real.browser() as opened:
        seen = real.open_page(opened, page, charts=False)
        assert len(seen.texts("table.jobs tbody th button")) == 4
        assert f"no token ids, tokenizer, fingerprint, memory: {WHY}" in seen.page.inner_text("table.jobs")
        assert seen.is_quiet()
