"""Comparisons: baselines, differences between outputs, columns, and notes on what is not comparable."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from written import answers, precision, sample, write_job, write_sweep

from hforch import cli
from hforch.comparison.bounds import read_bounds
from hforch.comparison.decision import decide
from hforch.comparison.entries import read_jobs
from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison, compare
from hforch.comparison.text_similarity import TextSimilarity
from hforch.errors import ConfigError
from hforch.utils.sequences import first_diff


def comparison(directory: Path, **about: Any) -> Comparison:
    return compare(read_jobs([directory]), **about)


def row(found: Comparison, name: str) -> Row:
    return next(one for one in found.rows if one.entry.name == name)


# ---------------------------------------------------------------- drift
def test_drift_is_counted_in_tokens_from_the_recorded_ids(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a b", [1, 2]), ("c d e f", [3, 4, 5, 6]), ("g", [7])), **precision("fp32"))
    write_job(tmp_path / "1", answers(("a b", [1, 2]), ("c d x f", [3, 4, 9, 6]), ("g h", [7, 8])), **precision("int8"))
    found = row(comparison(tmp_path), "1")
    assert found.baseline == "0"
    assert found.metrics["exact_match"] == pytest.approx(1 / 3)
    assert found.metrics["first_diff"] == 1.5  # token 2 of 4, and token 1 of 2
    assert found.metrics["first_diff_share"] == 0.5
    assert found.unit == "tokens"
    assert found.metrics["similarity"] == pytest.approx((1 + 6 / 7 + 1 / 3) / 3, abs=1e-4)


def test_drift_is_counted_in_characters_if_tokenizers_differ(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("hallo", [1, 2, 3])), **precision("fp32"))
    other = {"job": {"model": {"source": "hub", "id": "n"}, "precision": {"name": "int8"}}}
    write_job(tmp_path / "1", answers(("hall", [9])), overrides=["model=n"], model={"fingerprint": "0" * 64}, **other)
    found = row(comparison(tmp_path), "1")
    assert (found.unit, found.metrics["first_diff"], found.metrics["first_diff_share"]) == ("characters", 4, 0.8)


def test_jobs_that_tokenize_the_same_prompt_differently_are_not_compared(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a b", [1, 2]), ("c", [3])), **precision("fp32"))
    other = [sample(0, "a b", [1, 2], prompt_ids=[0, 1, 2]), sample(1, "c", [3])]
    write_job(tmp_path / "1", other, **precision("int8"))
    write_job(tmp_path / "2", [one | {"prompt": f"<s>{one['prompt']}"} for one in other], **precision("int4"))
    found = comparison(tmp_path)
    assert row(found, "1").metrics["exact_match"] is None
    why = "1 of 2 prompts has different token ids in the baseline, so outputs and scores cannot be compared"
    assert why in row(found, "1").notes and row(found, "1").lacks("kl_mean") == why
    assert row(found, "2").metrics["exact_match"] == 1.0, "another prompt has other ids"
    refused = decide(found, read_bounds(["exact_match>=0.5"]), None).refused
    assert [(one.entry.name, reasons) for one, reasons in refused] == [
        ("1", [f"exact_match is not available: {why}"]),
    ]


def test_samples_are_joined_by_id_and_never_by_position(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1]), ("b", [2]), ("c", [3])), **precision("fp32"))
    write_job(tmp_path / "1", answers(("a", [1]), ("b", [2]), ("c", [3]))[::-1], **precision("int8"))
    assert row(comparison(tmp_path), "1").metrics["exact_match"] == 1.0
    write_job(tmp_path / "2", [sample(1, "b", [2]), sample(7, "z", [9])], **precision("int4"))
    found = row(comparison(tmp_path), "2")
    assert found.metrics["exact_match"] == 1.0
    assert "1 sample has no matching sample in the baseline" in found.notes


def test_failed_samples_are_not_compared(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1]), ("", None)), **precision("fp32"))
    write_job(tmp_path / "1", answers(("", None), ("b", [2])), **precision("int8"), status="failed")
    found = row(comparison(tmp_path), "1")
    assert found.metrics["exact_match"] is None
    assert found.metrics["failed"] == 1


def test_repeats_are_joined_with_the_same_repeat(tmp_path: Path) -> None:
    both = [sample(0, "a", [1]), sample(0, "b", [2], repeat=1)]
    write_job(tmp_path / "0", both, **precision("fp32"))
    write_job(tmp_path / "1", both[::-1], **precision("int8"))
    assert row(comparison(tmp_path), "1").metrics["exact_match"] == 1.0


def test_the_worst_samples_are_those_that_differ_earliest(tmp_path: Path) -> None:
    base = [(f"w{n} x y z", [n, 1, 2, 3]) for n in range(6)]
    other = [(f"w{n} x y z" if n == 5 else f"w{n} {'x ' * (n // 2)}!", [n, 1, 2, 3]) for n in range(6)]
    for n in range(5):
        other[n][1][n % 4] = 99
    write_job(tmp_path / "0", answers(*base), **precision("fp32"))
    write_job(tmp_path / "1", answers(*other), **precision("int8"))
    worst = row(comparison(tmp_path, worst=2), "1").worst
    assert [(one.input_id, one.at) for one in worst] == [("input-0", 0), ("input-4", 0)]
    assert worst[0].baseline == "w0 x y z"


def test_a_difference_names_its_repeat_if_inputs_were_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = {"runtime": {"seed": 0, "threads": None, "batch_size": 1, "repeat": 2}}
    for name, ids in (("fp32", [1, 2]), ("int8", [1, 3])):
        about = precision(name)
        texts = [sample(0, "a b", [1, 2]), sample(0, f"a {ids[1]}", ids, repeat=1)]
        write_job(tmp_path / name, texts, about["overrides"], about["job"] | job)
    assert cli.main(["compare", str(tmp_path / "fp32"), str(tmp_path / "int8")]) == 0
    out = capsys.readouterr().out
    assert "job int8 vs. fp32: first difference at token 1 (50% into the answer). Input (repeat 2): question 0" in out
    assert "a [-2-] {+3+}" in out


@pytest.mark.parametrize(("one", "other", "at"), [("abc", "abd", 2), ("ab", "abc", 2), ("", "a", 0), ("x", "y", 0)])
def test_the_first_difference(one: str, other: str, at: int) -> None:
    assert first_diff(one, other) == at


def test_text_similarity_matches_the_libraries() -> None:
    from rapidfuzz.distance import Levenshtein
    from sacrebleu.metrics import CHRF

    pairs = [("the cat sat", "the cat sat"), ("a dog ran", "a dog run off")]
    found = TextSimilarity(pairs).metrics
    assert found["chrf"] == round(CHRF().corpus_score([b for _, b in pairs], [[a for a, _ in pairs]]).score, 2)
    assert found["similarity"] == round(sum(Levenshtein.normalized_similarity(*pair) for pair in pairs) / 2, 4)
    assert TextSimilarity([("same", "same")]).metrics == {"chrf": 100.0, "similarity": 1.0}
    assert TextSimilarity([]).metrics == {"chrf": None, "similarity": None}


# ---------------------------------------------------------------- the baseline
def test_the_default_baseline_is_the_most_precise_job_that_is_equal_on_all_other_axes(tmp_path: Path) -> None:
    for number, (name, style) in enumerate([("int8", "raw"), ("fp32", "raw"), ("int8", "chat"), ("fp32", "chat")]):
        job = {"precision": {"name": name}, "prompt": {"kind": style}}
        overrides = [f"precision={name}", f"prompt={style}"]
        write_job(tmp_path / str(number), answers(("a", [1])), overrides=overrides, job=job)
    found = comparison(tmp_path)
    assert {one.entry.name: one.baseline for one in found.rows} == {"0": "1", "1": None, "2": "3", "3": None}
    assert all("baseline" in row(found, name).notes for name in "13")


def test_a_baseline_may_be_selected_and_is_not_compared_with_another(tmp_path: Path) -> None:
    for number, name in enumerate(["fp32", "int8"]):
        write_job(tmp_path / str(number), answers(("a", [number])), **precision(name))
    found = comparison(tmp_path, baseline={"precision": "int8"})
    assert row(found, "0").baseline == "1"
    assert row(found, "1").baseline is None


def test_jobs_without_a_baseline_are_listed(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"))
    for number, style in enumerate(["chat", "few"], 1):
        job = {"precision": {"name": "int8"}, "prompt": {"kind": style}}
        write_job(tmp_path / str(number), answers(("a", [1])), overrides=[f"prompt={style}"], job=job)
    with pytest.raises(ConfigError) as raised:
        comparison(tmp_path, baseline={"precision": "fp32"})
    assert [one.problem for one in raised.value.mistakes] == [
        f"job {name} has no baseline with precision=fp32" for name in "12"
    ]


def test_a_baseline_must_exist_and_use_axes_of_the_load_key(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"))
    with pytest.raises(
        ConfigError, match="cannot select by prompt, only by settings that affect how the model is loaded"
    ):
        comparison(tmp_path, baseline={"prompt": "raw"})
    with pytest.raises(ConfigError, match="no job has precision=int4"):
        comparison(tmp_path, baseline={"precision": "int4"})


# ---------------------------------------------------------------- columns and notes
def test_columns_are_the_settings_that_differ(tmp_path: Path) -> None:
    for number, name in enumerate(["fp32", "int8"]):
        about = precision(name)
        about["overrides"] = [*about["overrides"], "runtime.seed=0", f"hydra.x={name}", f"runtime.display={name}"]
        write_job(tmp_path / str(number), answers(("a", [1])), **about)
    assert comparison(tmp_path).axes == ["precision"]


def test_config_values_are_columns_if_no_override_distinguishes_jobs(tmp_path: Path) -> None:
    for number in range(2):
        job = {"runtime": {"seed": number, "threads": None, "batch_size": 1}}
        write_job(tmp_path / str(number), answers(("a", [1])), job=job)
    assert [one.axes for one in comparison(tmp_path).rows] == [{"runtime.seed": "0"}, {"runtime.seed": "1"}]


def test_incomparable_speeds_are_noted(tmp_path: Path) -> None:
    other = {"packages": {}, "cpu": {"name": "another cpu", "usable_cores": 8}, "accelerators": []}
    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"))
    write_job(tmp_path / "1", answers(("a", [1])), **precision("int8"), parallel=True)
    write_job(tmp_path / "2", answers(("a", [1])), **precision("int4"), environment=other)
    notes = "\n".join(comparison(tmp_path).notes)
    assert "different machines" in notes
    assert "another cpu, 8 cores: 2" in notes
    assert "because they ran in parallel with others: 1" in notes


def test_a_machine_that_became_slower_is_noted(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"))
    noise = [{"load_key": "0", "job": 0, "first_s": 1.0, "again_s": 1.25, "drift": 0.25}]
    write_sweep(tmp_path, ["0"], noise=noise)
    assert any("the same batch took 25% more time at the end" in note for note in comparison(tmp_path).notes)
    noise[0]["drift"] = 0.05
    write_sweep(tmp_path, ["0"], noise=noise)
    assert not any("same batch" in note for note in comparison(tmp_path).notes)


@pytest.mark.parametrize(
    ("drift", "told"), [(-0.2134, "21.3% less time"), (0.1003, "10.03% more time"), (1.0, "100% more time")]
)
def test_a_change_of_machine_speed_is_stated_in_time_and_differs_from_the_tolerance(
    drift: float, told: str, tmp_path: Path
) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"))
    noise = [{"load_key": "0", "job": 0, "first_s": 1.0, "again_s": round(1 + drift, 4), "drift": drift}]
    write_sweep(tmp_path, ["0"], noise=noise)
    (note,) = [note for note in comparison(tmp_path).notes if "unreliable" in note]
    assert note.endswith(f": the same batch took {told} at the end than at the start (tolerance 10%)")


def test_a_first_repeat_that_differs_from_the_others_is_noted(tmp_path: Path) -> None:
    def metrics(*each: float) -> dict[str, Any]:
        return {"tokens_per_s": each[1], "tokens_per_s_each": list(each), "measured_s": 30.0, "absent": {}}

    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"), metrics=metrics(9.0, 30.0, 30.5, 30.2))
    write_job(tmp_path / "1", answers(("a", [1])), **precision("int8"), metrics=metrics(29.0, 30.0, 30.5, 30.2))
    write_job(tmp_path / "2", answers(("a", [1])), **precision("int4"), metrics=metrics(9.0, 30.0, 30.5), resumed=1)
    (note,) = [note for note in comparison(tmp_path).notes if "repeat" in note]
    assert note.startswith("job 0: the first repeat was 70% slower than the later ones")


def test_repeats_show_median_and_spread(tmp_path: Path) -> None:
    from hforch.report.comparison import to_markdown

    metrics = {"tokens_per_s": 20.0, "tokens_per_s_each": [18.0, 20.0, 25.0], "absent": {}}
    write_job(tmp_path / "0", answers(("a", [1])), metrics=metrics)
    found = comparison(tmp_path)
    assert found.rows[0].spread == (18.0, 25.0)
    assert "20.0 (18.0-25.0)" in to_markdown(found)


OF_TEXT = dict.fromkeys(("ppl", "bits_per_byte"), "the text has only one character")
AGAINST = dict.fromkeys(("kl_mean", "flips_early"), "the baseline has a different tokenizer")


@pytest.mark.parametrize("version", [1, 2])
def test_missing_perplexity_and_missing_divergence_have_separate_reasons(version: int, tmp_path: Path) -> None:
    memory: tuple[dict[str, str], dict[str, str]] = ({"kl_mean": "out of memory"}, {"ppl": "out of memory"})
    absent: dict[str, tuple[dict[str, str], dict[str, str]]] = {"0": ({}, OF_TEXT), "1": (AGAINST, OF_TEXT)}
    for name, (against, of_text) in (absent | {"2": memory}).items():
        parts = {"against_baseline": {"absent": against}, "on_text": {"absent": of_text}}
        scores = {"absent": against | of_text} if version == 1 else parts
        about = {"overrides": [f"prompt={name}"], "scores": scores, "schema_version": version}
        write_job(tmp_path / name, answers(("a", [1])), **about)  # type: ignore[arg-type]
    found = [[note for note in one.notes if note.startswith(("no ", "not "))] for one in comparison(tmp_path).rows]
    perplexity = "no perplexity: the text has only one character"
    divergence = "not scored against the baseline:"
    assert found[0] == [perplexity]
    assert found[1] == [f"{divergence} the baseline has a different tokenizer", perplexity]
    assert found[2] == [f"{divergence} out of memory", "no perplexity: out of memory"]


# ---------------------------------------------------------------- directories
def test_runs_sweeps_and_their_parent_directories_can_be_mixed(tmp_path: Path) -> None:
    for name in ("a/0", "a/1", "b/0"):
        write_job(tmp_path / name, answers(("x", [1])), overrides=[f"model={name}"])
    write_job(tmp_path / "single", answers(("x", [1])))
    names = [one.name for one in read_jobs([tmp_path / "a", tmp_path / "b", tmp_path / "single", tmp_path / "a" / "1"])]
    assert names == ["a/0", "a/1", "b/0", "single"]  # paths from the common parent
    assert [one.name for one in read_jobs([tmp_path])] == names


def test_runs_are_found_below_a_directory_of_dates(tmp_path: Path) -> None:
    write_job(tmp_path / "2026-01-01" / "10-00-00", answers(("x", [1])))
    write_job(tmp_path / "2026-01-02" / "11-00-00" / "0", answers(("x", [1])))
    assert [one.name for one in read_jobs([tmp_path])] == ["2026-01-01/10-00-00", "2026-01-02/11-00-00/0"]
    write_job(tmp_path / ".hidden" / "0", answers(("x", [1])))
    assert len(read_jobs([tmp_path])) == 2


def test_scoring_settings_are_not_an_axis(tmp_path: Path) -> None:
    for name, scoring in (("a", {"text": {"path": None}}), ("b", {"text": None})):
        write_job(tmp_path / name, answers(("x", [1])), job={"scoring": scoring})
    assert compare(read_jobs([tmp_path])).axes == []


def test_an_override_that_repeats_the_value_of_other_jobs_is_not_an_axis(tmp_path: Path) -> None:
    for name, typed in (("a", ["inputs=facts", "precision=int8"]), ("b", ["precision=fp32"])):
        precision_of = {"precision": {"name": typed[-1].partition("=")[2]}}
        write_job(tmp_path / name, answers(("x", [1])), overrides=typed, job=precision_of)
    assert compare(read_jobs([tmp_path])).axes == ["precision"]


def test_a_change_of_machine_speed_is_noted_for_its_sweep(tmp_path: Path) -> None:
    for sweep, drift in (("a", 0.5), ("b", 0.01)):
        job = write_job(tmp_path / sweep / "0", answers(("x", [1])), load_key="k", overrides=[f"model={sweep}"])
        write_sweep(job.parent, ["0"], noise=[{"load_key": "k", "drift": drift}])
    found = compare(read_jobs([tmp_path / "a", tmp_path / "b"]))
    (note,) = [note for note in found.notes if "unreliable" in note]
    assert note.startswith("timings of job a/0 are unreliable: the same batch took 50% more time at the end")
    assert decide(found, [], ["tokens_per_s"]).outcome == "undecided"


def test_directories_without_records_and_newer_records_are_all_reported(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_job(tmp_path / "new" / "0", answers(("x", [1])), schema_version=99)
    write_job(tmp_path / "new" / "1", answers(("x", [1])))
    with pytest.raises(ConfigError) as raised:
        read_jobs([tmp_path / "empty", tmp_path / "none", tmp_path / "new"])
    told = [str(one.problem) for one in raised.value.mistakes]
    assert f"no records found in {tmp_path}/empty" in told
    assert f"directory not found: {tmp_path}/none" in told
    assert any("schema version 99" in one for one in told)


def test_an_incomplete_last_line_is_skipped_and_an_invalid_line_is_an_error(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1]), ("b", [2])))
    file = tmp_path / "0" / "samples.jsonl"
    whole = file.read_text()
    file.write_text(whole[:-5])
    found = comparison(tmp_path).rows[0]
    assert found.metrics["ttft_ms"] == 10.0
    assert f"skipped: the last line of {file} is incomplete" in found.notes
    file.write_text("{broken\n" + whole)
    with pytest.raises(ConfigError, match=r"samples.jsonl:1 is not a sample of this run: it is not valid JSON"):
        comparison(tmp_path)


def test_a_job_identical_to_another_has_its_samples(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"))
    write_job(tmp_path / "1", (), **precision("int8"), same_as="../0")
    found = row(comparison(tmp_path), "1")
    assert found.metrics["exact_match"] == 1.0
    assert "skipped: identical to job 0" in found.notes


def test_recorded_samples_that_the_file_lacks_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    totals = {"planned": 2, "samples": 2, "checks": None}
    write_job(tmp_path / "0", [sample(0, "a", [1]), sample(1, "b", [2])], totals=totals)
    file = tmp_path / "0" / "samples.jsonl"
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert "incomplete" not in capsys.readouterr().out
    file.write_bytes(file.read_bytes()[:-20])
    assert cli.main(["compare", str(tmp_path)]) == 0
    assert "1 of its samples is missing" in " ".join(capsys.readouterr().out.split())


# ---------------------------------------------------------------- jobs that were not run
def test_jobs_that_were_not_run_have_rows_but_are_not_ranked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), overrides=["runtime.seed=0"], job={"runtime": {"seed": 0}})
    write_sweep(tmp_path, ["0", "1", "2"])
    assert cli.main(["compare", str(tmp_path), "--optimize", "tokens_per_s"]) == 0
    out = capsys.readouterr().out
    assert f"2 of 3 jobs were not run; to run them: hforch resume {tmp_path}" in out
    assert "1 (runtime.seed=1): the job was not run" in out
    assert "different machines" not in out
    assert [one.entry.record["status"] for one in comparison(tmp_path).rows] == ["ok", "not run", "not run"]
    assert cli.main(["compare", str(tmp_path), "--min-pass", "0.5", "--junit", str(tmp_path / "j.xml")]) == 3
    assert (tmp_path / "j.xml").read_text().count("the job was not run") == 2


def test_every_unreadable_record_is_reported_without_a_sweep_json(tmp_path: Path) -> None:
    for name in ("0", "1", "2"):
        write_job(tmp_path / name, answers(("a", [1])))
    (tmp_path / "0" / "record.json").write_text("{")
    (tmp_path / "2" / "record.json").write_text("[]")
    with pytest.raises(ConfigError) as caught:
        read_jobs([tmp_path])
    assert len(caught.value.mistakes) == 2


def test_a_sweep_whose_jobs_were_not_run_is_an_error(tmp_path: Path) -> None:
    write_sweep(tmp_path, ["0", "1"])
    with pytest.raises(ConfigError, match="none of the 2 jobs"):
        read_jobs([tmp_path])


def test_an_interrupted_job_is_an_error_in_junit(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), status="interrupted")
    assert cli.main(["compare", str(tmp_path), "--junit", str(tmp_path / "j.xml")]) == 0
    assert 'errors="1"' in (tmp_path / "j.xml").read_text()


# ---------------------------------------------------------------- narrow terminals
@pytest.mark.parametrize("width", [120, 80, 60, 40, 30])
def test_numbers_are_never_wrapped(tmp_path: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from hforch.report.comparison import print_comparison
    from hforch.report.comparison_tables import tables

    long = {"prompt.template": "a template of some length, longer than any terminal is wide"}
    for name, kind in (("0", "fp32"), ("1", "int8")):
        overrides = [f"precision={kind}", *(f"{key}={value} {name}" for key, value in long.items())]
        whole = precision(kind) | {"overrides": overrides, "memory": {"peak_rss_mb": 123456.0, "absent": {}}}
        write_job(tmp_path / name, answers(("a b", [1, 2]), ("c", [3 + int(name)])), **whole)
    found = comparison(tmp_path)
    monkeypatch.setenv("COLUMNS", str(width))
    terminal = Terminal()
    print_comparison(found, terminal, worst=False)
    shown = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue())
    assert max(map(len, shown.partition("job 0:")[0].splitlines())) <= width
    words = shown.split()
    for headers, rows in tables(found, notes=False):
        for cells in rows:
            for header, cell in zip(headers, cells, strict=True):
                if header not in found.axes:
                    assert all(part in words for part in cell.split()), (header, cell)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_an_answer_that_repeats_is_listed_once_among_the_most_different_ones(tmp_path: Path) -> None:
    again = {"repeat": 1, "batch": {"index": 1, "size": 1, "place": 0}}
    base = [sample(0, "a b", [1, 2]), sample(0, "a b", [1, 2], **again)]
    other = [sample(0, "x", [3]), sample(0, "x", [3], **again), sample(1, "y", [4])]
    write_job(tmp_path / "0", [*base, sample(1, "c", [5])], **precision("fp32"))
    write_job(tmp_path / "1", other, **precision("int8"))
    assert [(pair.input_id, pair.text) for pair in comparison(tmp_path).rows[1].worst] == [
        ("input-0", "x"),
        ("input-1", "y"),
    ]
