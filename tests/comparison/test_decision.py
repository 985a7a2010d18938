"""Decisions among jobs, and `hforch compare` on the command line."""

from __future__ import annotations

import csv
import io
import json
import shlex
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from written import answers, precision, rounds, sample, write_job

from hforch import cli
from hforch.comparison.baselines import read_baseline
from hforch.comparison.bounds import read_bounds, read_optimize
from hforch.comparison.decision import Decision, decide
from hforch.comparison.entries import read_jobs
from hforch.comparison.table import compare
from hforch.errors import ConfigError
from hforch.metrics.registry import COMPARED


def job(directory: Path, name: str, speed: float, memory: float, ids: list[int], **more: object) -> None:
    fields: dict[str, Any] = {**rounds(speed), "memory": {"peak_rss_mb": memory, "absent": {}}, **more}
    write_job(directory, answers((str(ids), ids)), **precision(name), **fields)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    job(tmp_path / "s" / "0", "fp32", 10.0, 900.0, [1, 2])
    job(tmp_path / "s" / "1", "int8", 20.0, 500.0, [1, 2])
    job(tmp_path / "s" / "2", "int4", 30.0, 300.0, [3, 4])
    job(tmp_path / "s" / "3", "fp16", 9.0, 950.0, [1, 2])
    return tmp_path / "s"


def decided(directory: Path, *bounds: str, optimize: str = "tokens_per_s", **more: Any) -> Decision:
    return decide(compare(read_jobs([directory])), read_bounds(bounds), read_optimize(optimize), **more)


def names(rows: list) -> list[str]:  # type: ignore[type-arg]
    return [one.entry.name for one in rows]


def test_the_fastest_job_that_meets_the_requirements_is_recommended_and_the_others_have_reasons(sweep: Path) -> None:
    found = decided(sweep, "exact_match>=0.5", "peak_rss_mb<=900")
    assert names(found.qualified) == ["0", "1"]
    assert {row.entry.name: why for row, why in found.refused} == {
        "2": ["exact_match=0, required: >=0.5"],
        "3": ["peak_rss_mb=950, required: <=900"],
    }
    assert found.winner is not None
    assert found.winner.entry.name == "1"
    assert found.outcome == "winner"
    assert found.reason.startswith(
        "recommended: job 1 (precision=int8), with the highest tokens_per_s of the qualified jobs: 20.0 tokens/s"
    )
    assert found.reason.endswith("vs. job 0, p < 0.001")


def test_the_pareto_set_has_the_jobs_that_no_other_job_dominates(sweep: Path) -> None:
    assert names(decided(sweep).pareto) == ["1", "2"]


def test_equal_jobs_do_not_dominate_each_other(sweep: Path) -> None:
    shutil.copytree(sweep / "1", sweep / "4")
    assert names(decided(sweep).pareto) == ["1", "2", "4"]


def test_a_metric_for_which_lower_is_better_is_minimized(sweep: Path) -> None:
    found = decided(sweep, optimize="peak_rss_mb")
    assert found.winner is not None
    assert found.winner.entry.name == "2"


def test_if_no_job_qualifies_the_closest_is_named(sweep: Path) -> None:
    found = decided(sweep, "tokens_per_s>=31")
    assert found.qualified == []
    assert found.winner is None
    assert found.reason == ("no job qualifies; the closest is job 2 (precision=int4): tokens_per_s=30, required: >=31")


def test_the_only_qualified_job_is_recommended_as_such(sweep: Path) -> None:
    reason = decided(sweep, "tokens_per_s>=30").reason
    assert reason == "recommended: job 2 (precision=int4), the only qualified job (tokens_per_s 30.0 tokens/s)"


def test_a_missing_value_has_its_reason(tmp_path: Path) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"))
    found = decided(tmp_path, "exact_match>=0.5", "checks>=0.5")
    assert [reasons for _, reasons in found.refused] == [
        [
            "exact_match is not available: no other completed job has the same settings apart from"
            " how the model is loaded",
            "checks is not available: the job has no checks",
        ]
    ]
    assert found.reason == "no job qualifies: no job has a value for exact_match or checks"


def test_exact_matches_meet_any_minimum_of_the_first_difference(sweep: Path) -> None:
    assert names(decided(sweep, "first_diff>=5").qualified) == ["0", "1", "3"]


def test_speeds_of_parallel_jobs_are_not_ranked_with_others(tmp_path: Path) -> None:
    job(tmp_path / "0", "fp32", 10.0, 1.0, [1])
    job(tmp_path / "1", "int8", 20.0, 1.0, [1])
    job(tmp_path / "2", "int4", 99.0, 1.0, [1], parallel=True)
    found = decided(tmp_path)
    assert found.winner is not None
    assert found.winner.entry.name == "1"
    assert "not ranked: 1 measured on another machine or in parallel with other jobs" in found.reason


def test_repeats_within_one_load_show_no_difference_between_jobs(tmp_path: Path) -> None:
    for number, each in enumerate([[18.0, 20.0, 22.0], [19.0, 21.0, 23.0]]):
        metrics = {"tokens_per_s": each[1], "tokens_per_s_each": each, "absent": {}}
        write_job(tmp_path / str(number), answers(("a", [1])), **precision(["fp32", "int8"][number]), metrics=metrics)
    found = decided(tmp_path)
    assert (found.outcome, found.winner) == ("undecided", None)
    assert found.reason == (
        "cannot determine which of jobs 1 or 0 has the highest tokens_per_s: job 1 has 21.0 tokens/s, +5.0% vs. job 0"
        " (no interval: measured once, and no batch was timed again). About 2 more rounds would probably decide it:"
        f" hforch resume {tmp_path} runtime.rounds=3"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tokens_per_sec>=3", "did you mean 'tokens_per_s>=3'"),
        ("peak_rss<=3", "did you mean 'peak_rss_mb<=3'"),
        ("checks", "is not a valid requirement"),
        ("checks>=much", "is not a valid requirement"),
        ("checks>=9", "checks is a fraction; must be between 0 and 1"),
        ("exact_match<=-1", "exact_match is a fraction; must be between 0 and 1"),
        ("identical<=-1", "identical is a fraction; must be between 0 and 1"),
        ("similarity>=150%", "use 'similarity>=0.9' or 'similarity>=90%'"),
    ],
)
def test_an_invalid_requirement_is_an_error(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_bounds([text])


def test_requirements_may_be_percentages() -> None:
    (bound,) = read_bounds(["checks >= 90%"])
    assert (bound.metric, bound.relation, bound.value) == ("checks", ">=", 0.9)


# ---------------------------------------------------------------- command line
def test_exit_codes_of_decisions(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(sweep), "--require", "exact_match>=0.5", "--optimize", "tokens_per_s"]) == 0
    assert "recommended: job 1" in capsys.readouterr().out
    assert cli.main(["compare", str(sweep), "--require", "tokens_per_s>=1000"]) == 3
    assert "the closest is job 2" in capsys.readouterr().out
    assert cli.main(["compare", str(sweep), "--require", "tokens>=1000", "--optimize", "speed", "--worst", "-1"]) == 2
    assert capsys.readouterr().err.startswith("3 errors:\n")


def test_former_metric_names_work_and_are_reported_once(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--require", "identical>=0.5", "--require", "identical<=1", "--require", "divergence>=1"]
    assert cli.main(["compare", str(sweep), *words, "--optimize", "tokens_per_s"]) == 0
    out, err = capsys.readouterr()
    assert "recommended: job 1" in out and "exact_match=0, required: >=0.5" in out
    assert err.splitlines() == [
        "metric identical was renamed to exact_match",
        "metric divergence was renamed to first_diff",
    ]
    assert cli.main(["compare", str(sweep), "--optimize", "identical"]) == 0
    out, err = capsys.readouterr()
    assert "cannot determine which of jobs 1 or 2 has the highest exact_match" in out
    assert err == "metric identical was renamed to exact_match\n"


def test_the_help_names_all_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("compare", "report"):
        with pytest.raises(SystemExit):
            cli.main([verb, "--help"])
        said = " ".join(capsys.readouterr().out.split())
        assert "Metrics: tokens_per_s, checks, exact_match" in said and "kl_p99" in said
        assert "(higher is better)" in said and "(lower is better)" in said


def test_too_few_passed_checks_exit_with_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    totals = {"planned": 1, "samples": 1, "checks": {"passed": 1, "total": 2, "each": []}}
    write_job(tmp_path / "0", answers(("a", [1])), totals=totals)
    assert cli.main(["compare", str(tmp_path), "--min-pass", "0.5"]) == 0
    assert cli.main(["compare", str(tmp_path), "--min-pass", "0.9"]) == 3
    assert "passes 50% of its checks; --min-pass requires 90%" in capsys.readouterr().err
    assert cli.main(["compare", str(tmp_path), "--min-pass", "90"]) == 2
    write_job(tmp_path / "1", answers(("a", [1])), totals=totals, status="interrupted")
    assert cli.main(["compare", str(tmp_path / "1"), "--min-pass", "0.5"]) == 3
    assert "did not finish; --min-pass requires 50%" in capsys.readouterr().err


def test_a_pass_rate_just_below_min_pass_is_not_shown_as_equal_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    totals = {"planned": 1, "samples": 1, "checks": {"passed": 199, "total": 200, "each": []}}
    write_job(tmp_path / "0", answers(("a", [1])), totals=totals)
    assert cli.main(["compare", str(tmp_path), "--min-pass", "0.9952"]) == 3
    assert "passes 99.5% of its checks; --min-pass requires 99.52%" in capsys.readouterr().err
    totals["checks"] = {"passed": 2999, "total": 3000, "each": []}
    write_job(tmp_path / "1", answers(("a", [1])), totals=totals)
    assert cli.main(["compare", str(tmp_path / "1"), "--min-pass", "1"]) == 3
    assert "passes 99.97% of its checks; --min-pass requires 100%" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csv", "json", "markdown", "table"])
def test_a_decision_in_a_file_is_printed_on_stderr_too(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    words = ["--format", form, "--output", str(tmp_path / "written"), "--require", "tokens_per_s>=1000"]
    assert cli.main(["compare", str(sweep), *words]) == 3
    out, err = capsys.readouterr()
    assert out == "" and "the closest is job 2" in err


def test_csv_and_json_contain_every_metric(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hforch.metrics.registry import names as all_names

    assert cli.main(["compare", str(sweep), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [one["precision"] for one in rows] == ["fp32", "int8", "int4", "fp16"]
    assert set(all_names()) <= rows[0].keys()
    assert rows[2]["exact_match"] == "0.0"
    assert cli.main(["compare", str(sweep), "--format", "json", "--optimize", "tokens_per_s"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["rows"][1]["metrics"]["tokens_per_s"] == 20.0
    assert data["decision"]["winner"] == "2"


def test_markdown_tables_escape_special_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(["a|b", "c"]):
        write_job(tmp_path / str(number), answers(("x", [1])), overrides=[f"model={name}"])
    assert cli.main(["compare", str(tmp_path), "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| 0 | a\\|b |" in "\n".join(lines)


def test_junit_has_a_case_for_each_check(tmp_path: Path) -> None:
    passed = {"name": "contains 'x'", "passed": True, "why": None}
    missed = {"name": "contains 'x'", "passed": False, "why": "no 'x'\x00"}
    samples = [
        sample(0, "x", [1], checks=[passed]),
        sample(1, "y\x1b[31m", [2], checks=[missed]),
        sample(2, "", None, checks=[missed]),
    ]
    write_job(tmp_path / "0", samples)
    assert cli.main(["compare", str(tmp_path), "--junit", str(tmp_path / "checks.xml")]) == 0
    suite = ElementTree.parse(tmp_path / "checks.xml").getroot()[0]
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("3", "1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "no 'x'\\x00"


def test_escape_codes_in_answers_are_not_sent_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(tmp_path / "0", answers(("hello", [1])), **precision("fp32"))
    write_job(tmp_path / "1", answers(("\x1b[2Jgone", [2])), **precision("int8"))
    assert cli.main(["compare", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "gone" in out
    assert "\x1b[2J" not in out


def test_an_unwritable_output_file_is_an_error(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sweep / "file").write_text("")
    assert cli.main(["compare", str(sweep), "--output", str(sweep / "file" / "x.csv"), "--format", "csv"]) == 1
    assert "cannot write" in capsys.readouterr().err


HEADERS = {
    "accelerator MB<=800": "peak_accelerator_mb",
    "tokens/s>=5": "tokens_per_s",
    "load s<=3": "load_s",
    "kl mean<0.1": "kl_mean",
    "peak memory<=800": "peak_rss_mb",
}


@pytest.mark.parametrize("text", HEADERS)
def test_headers_and_titles_of_tables_are_accepted_as_metric_names(text: str) -> None:
    assert [one.metric for one in read_bounds([text])] == [HEADERS[text]]


def test_each_header_in_the_tables_is_a_metric_name(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for metric in COMPARED:
        assert read_optimize(metric.header) == read_optimize(metric.title) == [metric.name]
    code = cli.main(["compare", str(sweep), "--require", "memory MB<=600", "--optimize", "tokens/s"])
    shown = capsys.readouterr()
    assert code == 0 and "recommended: job 2" in shown.out and not shown.err


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (("--require", "memory<=800"), "did you mean 'peak_rss_mb<=800' or 'peak_accelerator_mb<=800'?"),
        (("--require", "accuracy>=90%"), "did you mean 'checks>=90%'?"),
        (("--require", "quality>=3"), "did you mean 'kl_mean>=3' or 'ppl>=3'?"),
        (("--optimize", "speed"), "did you mean tokens_per_s?"),
        (("--optimize", "tokens_per_sec"), "did you mean tokens_per_s?"),
    ],
)
def test_an_unknown_metric_gets_the_nearest_ones(
    flags: tuple[str, str], hint: str, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", str(sweep), *flags]) == 2
    assert capsys.readouterr().err.splitlines()[-1].strip() == hint
    for meant in shlex.split(hint.removeprefix("did you mean ").removesuffix("?")):
        if meant != "or":
            assert cli.main(["compare", str(sweep), flags[0], meant]) in (0, 3)


def test_a_name_like_no_metric_gets_a_short_hint(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(sweep), "--optimize", "zzzz"]) == 2
    assert len(capsys.readouterr().err) < 250


def test_a_baseline_may_be_the_number_of_a_job(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [row.baseline for row in compare(read_jobs([sweep]), read_baseline("1")).rows] == ["1", None, "1", "1"]
    assert cli.main(["compare", str(sweep), "--baseline", "7"]) == 2
    error = capsys.readouterr().err
    assert "no job '7'" in error and "set in --baseline 7" in error
    assert "jobs: 0 (precision=fp32), 1 (precision=int8), 2 (precision=int4), 3 (precision=fp16)" in error
    assert cli.main(["compare", str(sweep), "--baseline", "int8"]) == 2
    assert "did you mean --baseline precision=int8?" in capsys.readouterr().err
    assert cli.main(["compare", str(sweep), "--baseline", "precision=int8"]) == 0


def junit(directory: Path) -> dict[str, list[str]]:
    """Return the names of the test cases by suite, from `hforch compare --junit` and `--format junit`."""
    assert cli.main(["compare", str(directory), "--junit", str(directory / "checks.xml")]) == 0
    assert cli.main(["compare", str(directory), "--format", "junit", "--output", str(directory / "same.xml")]) == 0
    assert (directory / "same.xml").read_text() == (directory / "checks.xml").read_text()
    suites = ElementTree.parse(directory / "checks.xml").getroot()
    return {suite.attrib["name"]: [case.attrib["name"] for case in suite] for suite in suites}


def test_junit_names_suites_by_configuration_and_tests_by_question(tmp_path: Path) -> None:
    passed = {"name": "contains 'x'", "passed": True, "why": None}
    row = {"question": "What is\n<x>?", "expected": "x"}
    long = {"question": "Why? " * 60, "expected": "x"}
    samples = [
        sample(0, "x", [1], checks=[passed], input=row),
        sample(0, "x", [1], checks=[passed], input=row, repeat=1, batch={"index": 1, "size": 1, "place": 0}),
        sample(1, "x", [1], checks=[passed], input=row),
        sample(2, "x", [1], checks=[passed], input=long),
        sample(3, "x", [1], checks=[passed], input=long | {"expected": "y"}),
        sample(4, "x", [1], checks=[passed], input="a text"),
    ]
    asked = {"kind": "chat", "messages": [{"role": "user", "content": "{question}"}]}
    hub = {"source": "hub", "id": "org/name", "revision": None}
    run = {"prompt": asked, "model": hub, "runtime": {"repeat": 2}}
    write_job(tmp_path / "out" / "0", samples, ["model=hub"], job=run)
    (names,) = junit(tmp_path / "out").values()
    assert [*junit(tmp_path / "out")] == ["model=org/name backend=pytorch precision=fp32"]
    assert names[:3] == ["What is <x>?", "What is <x>? (repeat 2)", "What is <x>? (input 2)"]
    assert names[3].startswith("Why? Why?") and len(names[3]) <= 120 and names[4] == f"{names[3]} (input 4)"
    assert names[5] == "a text" and len({*names}) == 6


def test_junit_suites_of_a_sweep_have_the_settings_that_differ(sweep: Path) -> None:
    assert [*junit(sweep)] == ["precision=fp32", "precision=int8", "precision=int4", "precision=fp16"]


# ---------------------------------------------------------------- what is shown
def checked(directory: Path, name: str, passes: list[bool | None], **more: Any) -> None:
    """Write a job whose inputs pass or fail one check; None stands for a missing input."""
    samples = [
        sample(at, f"{name} {at}", [at], checks=[{"name": "a check", "passed": passed, "why": None}])
        for at, passed in enumerate(passes)
        if passed is not None
    ]
    passed = sum(map(bool, passes))
    totals = {"samples": len(samples), "checks": {"passed": passed, "total": len(samples), "each": []}}
    fields: dict[str, Any] = {"totals": totals, **rounds(10.0), **more}
    write_job(directory, samples, **precision(name), **fields)


def test_a_gap_in_checks_is_tested_input_by_input(tmp_path: Path) -> None:
    checked(tmp_path / "0", "fp32", [True] * 30 + [False] * 10)
    checked(tmp_path / "1", "int8", [True] * 20 + [False] * 20)
    found = decided(tmp_path, optimize="checks")
    assert (found.outcome, found.winner and found.winner.entry.name) == ("winner", "0")
    assert (
        "+25.0 [" in found.reason and "] percentage points" in found.reason and "p = 0.002" in found.reason
    )  # 10 of 10 inputs gained: 2 / 2^10
    assert found.remark is not None and "quality is based on only 40 inputs" in found.remark


def test_few_discordant_inputs_leave_it_undecided_with_the_number_that_is_missing(tmp_path: Path) -> None:
    checked(tmp_path / "0", "fp32", [True] * 9 + [False])
    checked(tmp_path / "1", "int8", [True] * 8 + [False] * 2)
    found = decided(tmp_path, optimize="checks")
    assert (found.outcome, found.winner) == ("undecided", None)
    assert "p = 1.00. About" in found.reason and "more inputs would probably decide it" in found.reason


def test_inputs_that_only_one_job_answered_are_named(tmp_path: Path) -> None:
    checked(tmp_path / "0", "fp32", [True] * 10)
    checked(tmp_path / "1", "int8", [True, False, *[True] * 4, *[None] * 4])
    assert (
        "(6 of 10 inputs: the others have a value in only one of the jobs)"
        in decided(tmp_path, optimize="checks").reason
    )


def test_a_requirement_may_be_met_but_not_confirmed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checked(tmp_path / "0", "fp32", [True] * 19 + [False])
    found = decided(tmp_path, "checks>=0.9", optimize="checks")
    assert names(found.qualified) == ["0"]
    ((_, (doubt,)),) = found.unconfirmed
    assert doubt.startswith("checks>=0.9: checks is 95%, with a 95% interval of [76%, 99%]; about ")
    assert doubt.endswith("more inputs would confirm it, if they give the same value")
    assert decided(tmp_path, "checks>=0.9", optimize="checks", strict=True).qualified == []
    assert cli.main(["compare", str(tmp_path), "--require", "checks>=0.9"]) == 0
    assert "not confirmed: 0: checks>=0.9" in capsys.readouterr().out
    assert cli.main(["compare", str(tmp_path), "--require", "checks>=0.9", "--strict"]) == 3
    assert "no job is confirmed to qualify" in capsys.readouterr().out
    assert cli.main(["compare", str(tmp_path), "--require", "checks>=0.7", "--strict"]) == 0


def test_a_value_at_the_requirement_cannot_be_shown_with_more_inputs(tmp_path: Path) -> None:
    checked(tmp_path / "0", "fp32", [True] * 9 + [False])
    ((_, (doubt,)),) = decided(tmp_path, "checks>=0.9").unconfirmed
    assert doubt.endswith("the value is too close to the requirement to be confirmed by more inputs")


def test_jobs_that_tie_are_separated_by_memory_or_by_the_next_metric(tmp_path: Path) -> None:
    job(tmp_path / "0", "fp32", 10.0, 900.0, [1, 2])
    job(tmp_path / "1", "int8", 10.01, 500.0, [1, 2])
    found = decided(tmp_path)
    assert found.outcome == "tie" and found.winner is not None and found.winner.entry.name == "1"
    assert found.reason.startswith("tie in tokens_per_s: jobs 1, 0 (+") and "lowest peak_rss_mb" in found.reason
    assert names(found.tied) == ["1", "0"]
    other = decided(tmp_path, optimize="tokens_per_s,load_s")
    assert other.winner is not None and "lowest peak_rss_mb" in other.reason  # load_s is equal


def test_identical_jobs_tie(tmp_path: Path) -> None:
    job(tmp_path / "s" / "0", "fp32", 10.0, 900.0, [1, 2])
    write_job(tmp_path / "s" / "1", **precision("fp32"), **rounds(10.0), same_as="../0")
    found = decided(tmp_path / "s")
    assert found.outcome == "tie" and "the jobs are identical and were run once" in found.reason


def test_rounds_that_were_added_after_a_look_use_always_valid_intervals(tmp_path: Path) -> None:
    for name, speed in (("fp32", 10.0), ("int8", 10.6)):
        job(tmp_path / "once" / name, name, speed, 900.0, [1], **rounds(speed, noise=0.05))
        job(tmp_path / "again" / name, name, speed, 900.0, [1], extended=True)
    methods = {}
    for directory in ("once", "again"):
        found = decided(tmp_path / directory)
        assert found.ranking is not None and found.ranking.rivals[0].effect.interval is not None
        methods[directory] = found.ranking.rivals[0].effect.interval.method
    assert methods == {"once": "t of rounds", "again": "always valid"}


def test_an_undecided_speed_names_the_command_that_measures_more(tmp_path: Path) -> None:
    for name, speed in (("fp32", 10.0), ("int8", 10.1)):
        job(tmp_path / name, name, speed, 900.0, [1], **rounds(speed, noise=0.3, count=4))
    found = decided(tmp_path)
    assert found.outcome == "undecided" and f"hforch resume {tmp_path} runtime.rounds=" in found.reason


def test_speeds_that_were_not_measured_in_turns_are_not_compared_between_sweeps(tmp_path: Path) -> None:
    job(tmp_path / "a" / "0", "fp32", 10.0, 900.0, [1])
    job(tmp_path / "b" / "0", "int8", 20.0, 900.0, [1])
    found = decide(compare(read_jobs([tmp_path / "a", tmp_path / "b"])), [], ["tokens_per_s"])
    assert found.outcome == "undecided"
    assert "no interval: measured once, and no batch was timed again" in found.reason or "turns" in found.reason
    assert "Measure them in turns: in one sweep, with runtime.rounds=3" in found.reason


@pytest.mark.parametrize("words", [["--confidence", "95"], ["--margin", "2"], ["--confidence", "much"]])
def test_invalid_levels_are_errors(sweep: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(["compare", str(sweep), *words]) == 2
    assert words[0] in capsys.readouterr().err


def _code(words: list[str]) -> int:
    try:
        return cli.main(words)
    except SystemExit as exit_:
        return int(exit_.code or 0)
