"""How each kind of check judges answers, and how results are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from judged import made, passes, sample

from hforch.checks.judging import columns, judge, missed, names, totals
from hforch.config.checks import check_inputs
from hforch.config.schema import FileInputs, InlineInputs
from hforch.errors import ConfigError
from hforch.inputs import Input

INLINE = InlineInputs(kind="inline", items=("x",), limit=None)


COLUMN = {"column": "expected"}
PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


@pytest.mark.parametrize(
    ("item", "good", "bad"),
    [
        ({"equals": "Paris"}, "Paris", "paris"),
        ({"equals": ""}, "", "x"),
        ({"contains": "ar"}, "Paris", "PARIS"),
        ({"icontains": "STRASSE"}, "the straße", "the street"),
        ({"starts_with": "The"}, "The end", "At The end"),
        ({"regex": r"^\d+$"}, "42", "42 or so"),
        ({"regex": "b+"}, "abbc", "ac"),
        ({"regex": "(?i)paris"}, "PARIS", "Rome"),
        ({"json_schema": {}}, '{"a": [1, null]}', "{a: 1}"),
        ({"json_schema": PERSON}, '{"name": "Ada"}', '{"name": 3}'),
        ({"json_schema": PERSON}, '{"name": ""}', "[]"),
        ({"json_schema": {"$ref": "#/$defs/n", "$defs": {"n": {"type": "null"}}}}, "null", "0"),
        ({"levenshtein": "kitten", "max_distance": 3}, "sitting", "sittings"),
        ({"levenshtein": "kitten", "min_similarity": 0.5}, "sitten", "dog"),
        ({"levenshtein": "kitten", "max_distance": 0}, "kitten", "kittens"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_kind_passes_good_answers_and_fails_bad_ones(item: dict[str, Any], good: str, bad: str) -> None:
    assert passes(item, sample(good))
    assert not passes(item, sample(bad))


def test_token_count_and_finish_reason_come_from_the_sample() -> None:
    assert passes({"max_tokens": 3}, sample())
    assert not passes({"max_tokens": 2}, sample())
    assert passes({"finish_reason": "eos"}, sample())
    assert passes({"finish_reason": ["stop", "eos"]}, sample())
    assert not passes({"finish_reason": ["stop", "length"]}, sample())


@pytest.mark.parametrize(
    ("kind", "cell", "good", "bad"),
    [
        ("equals", "Paris", "Paris", "Rome"),
        ("equals", 4, "4", "five"),
        ("equals", True, "true", "True"),
        ("icontains", "PARIS", "in Paris", "in Rome"),
        ("regex", "^P", "Paris", "in Paris"),
        ("json_schema", {"type": "integer"}, "3", '"3"'),
        ("json_schema", '{"type": "integer"}', "3", '"3"'),
    ],
)
def test_answers_are_compared_with_a_column(kind: str, cell: Any, good: str, bad: str) -> None:
    assert passes({kind: COLUMN}, sample(good, input={"expected": cell}))
    assert not passes({kind: COLUMN}, sample(bad, input={"expected": cell}))


@pytest.mark.parametrize("kind", ["equals", "icontains", "contains", "starts_with"])
def test_any_value_of_a_list_in_a_column_is_accepted(kind: str) -> None:
    answer = sample("Lutetia", input={"expected": ["Paris", " Lutetia ", 4]})
    assert passes({kind: COLUMN}, answer)
    assert not passes({kind: COLUMN}, sample("Rome", input=answer["input"]))
    (result,) = judge(made({kind: COLUMN}))(sample("Rome", input=answer["input"]))
    assert ", nor does any of the other 2 accepted values match" in result["why"]


def test_a_separator_splits_a_cell_into_accepted_values() -> None:
    column = {"column": "expected", "separator": "|"}
    for answer, passed in {"Paris": True, "Lutetia": True, "Paris | Lutetia": False, "": False}.items():
        assert passes({"equals": column}, sample(answer, input={"expected": "Paris | Lutetia|"})) is passed
    assert passes({"equals": column}, sample("x", input={"expected": "x"}))
    assert passes({"equals": COLUMN}, sample("a|b", input={"expected": "a|b"}))
    assert passes({"max_tokens": column}, sample(input={"expected": "1|3"}))


def test_any_of_passes_if_one_of_its_checks_does() -> None:
    item = {"any_of": [{"equals": "Rome"}, {"contains": "x", "negate": True}, {"icontains": COLUMN}]}
    assert passes(item, sample("Rome x", input={"expected": "y"})) is False
    assert passes(item, sample("Rome", input={"expected": "y"}))
    assert passes(item, sample("x Paris", input={"expected": "paris"}))
    (result,) = judge(made(item))(sample("x", input={"expected": "y"}))
    assert result["name"] == "any_of equals 'Rome' or not contains 'x' or icontains {expected}"
    assert result["why"] == (
        "the answer is 'x', not 'Rome'; the answer contains 'x'; the answer does not contain 'y' (ignoring case)"
    )
    assert columns(made(item)) == {"expected"}
    undecided = {"any_of": [{"max_tokens": 3}, {"equals": "a"}]}
    assert passes(undecided, sample("a", output_tokens=None))


def test_the_latency_of_an_answer_is_bounded() -> None:
    item = {"latency": {"max_ms": 500}}
    assert passes(item, sample(timings={"latency_ms": 500.0}))
    assert not passes(item, sample(timings={"latency_ms": 500.1}))
    (result,) = judge(made(item))(sample(timings={"latency_ms": 1234.5}))
    assert result == {
        "name": "latency 500 ms or less",
        "passed": False,
        "why": "the answer took 1234.5 ms (limit 500 ms)",
    }
    (result,) = judge(made(item))(sample(timings={}))
    assert result["why"] == "the latency is unknown"


def test_numbers_in_a_csv_file_are_strings() -> None:
    assert passes({"max_tokens": COLUMN}, sample(input={"expected": "3"}))
    assert not passes({"max_tokens": COLUMN}, sample(input={"expected": "2"}))
    assert passes({"finish_reason": COLUMN}, sample(input={"expected": "eos"}))


def test_outer_whitespace_counts_only_without_strip() -> None:
    for item in ({"equals": " Paris"}, {"equals": COLUMN}, {"starts_with": " Paris"}, {"regex": "^Paris$"}):
        assert passes(item, sample("\nParis \n", input={"expected": " Paris\t"}))
        assert not passes(item, sample("\nParis \n", input={"expected": " Paris\t"}), strip=False)
    assert not passes({"equals": "a b"}, sample("a  b"))


def test_the_value_of_contains_is_not_stripped() -> None:
    assert not passes({"contains": "\n\n"}, sample("one"))
    assert passes({"contains": "\n\n"}, sample("one\n\ntwo"))
    assert passes({"contains": COLUMN}, sample("one", input={"expected": " one "}))


def test_an_echoed_prompt_is_not_part_of_the_answer() -> None:
    (result,) = judge(made({"equals": "Paris"}), echo=True)(sample("Where? Paris"))
    assert result["passed"]
    (result,) = judge(made({"equals": "Paris"}))(sample("Where? Paris"))
    assert not result["passed"]


def test_a_failed_sample_fails_all_checks_even_negated_ones() -> None:
    judged = judge(made({"contains": "a"}, {"contains": "a", "negate": True}))
    results = judged(sample(None, error={"type": "X", "message": "out of ink"}))
    assert [result["passed"] for result in results] == [False, False]
    assert {result["why"] for result in results} == {"no answer"}


def test_a_schema_can_be_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "person.json").write_text('\ufeff{"type": "object"}', encoding="utf-8")
    item = {"json_schema": str(tmp_path / "person.json")}
    assert passes(item, sample("{}"))
    assert not passes(item, sample("[]"))


def test_an_infinitely_recursive_schema_passes_nothing() -> None:
    assert not passes({"json_schema": {"$ref": "#"}}, sample("3"))


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5_000, "", "\ud800", "NaN"])
def test_strange_answers_are_judged(text: str) -> None:
    for item in ({"json_schema": {"type": "object"}}, {"equals": "a"}, {"levenshtein": "a", "max_distance": 0}):
        assert not passes(item, sample(text))


def test_reasons_describe_the_answer() -> None:
    judged = judge(made({"equals": "Rome"}, {"json_schema": PERSON}, {"levenshtein": "x", "max_distance": 1}))
    assert [result["why"] for result in judged(sample('{"name": 3}'))] == [
        "the answer is '{\"name\": 3}', not 'Rome'",
        "name: 3 is not of type 'string'",
        "the answer is '{\"name\": 3}', 11 edits from 'x'",
    ]
    assert len(judge(made({"equals": "x"}))(sample("y" * 10_000))[0]["why"]) < 300


def test_every_check_has_a_unique_name() -> None:
    named = names(
        made(
            {"contains": "Paris"},
            {"contains": "Paris", "negate": True},
            {"equals": COLUMN},
            {"levenshtein": COLUMN, "min_similarity": 0.8},
            {"finish_reason": ["eos", "stop"]},
            {"max_tokens": 3},
            {"contains": "Paris"},
            {"contains": "a" * 500},
            {"json_schema": "person.json"},
        )
    )
    assert named[:7] == [
        "contains 'Paris'",
        "not contains 'Paris'",
        "equals {expected}",
        "levenshtein {expected} (similarity 0.8 or more)",
        "finish_reason eos or stop",
        "max_tokens 3",
        "contains 'Paris' (2)",
    ]
    assert len(named[7]) < 100
    assert named[8] == "json_schema person.json"


@pytest.mark.parametrize("negate", [False, True])
def test_max_tokens_fails_if_the_token_count_is_unknown(negate: bool) -> None:
    (result,) = judge(made({"max_tokens": 5, "negate": negate}))(sample(output_tokens=None))
    assert (result["passed"], result["why"]) == (False, "the number of tokens is unknown")


def test_results_are_counted_in_total_and_per_check() -> None:
    judged = judge(made({"contains": "Paris"}, {"max_tokens": 3}))
    samples = [{"checks": judged(sample(text))} for text in ("Paris", "Rome", "in Paris")]
    counted = totals([*samples, {}])  # lines of earlier versions have no checks
    assert counted == {
        "passed": 5,
        "total": 6,
        "each": [
            {"name": "contains 'Paris'", "passed": 2, "total": 3},
            {"name": "max_tokens 3", "passed": 3, "total": 3},
        ],
    }
    assert totals([{"checks": []}]) is None


@pytest.mark.parametrize(
    ("passed", "total", "asked", "is_missed"),
    [(7, 10, 0.7, False), (6, 10, 0.7, True), (0, 3, 0.0, False), (3, 3, 1.0, False), (2, 3, None, False)],
)
def test_a_lower_pass_rate_misses_min_pass(passed: int, total: int, asked: float | None, is_missed: bool) -> None:
    assert missed({"passed": passed, "total": total}, asked) is is_missed
    assert missed(None, asked) is False


# ---------------------------------------------------------------- before anything is loaded
def told(declared: Any, items: list[Any], *written: Any) -> list[str]:
    inputs = [Input(number, str(number), item) for number, item in enumerate(items)]
    with pytest.raises(ConfigError) as caught:
        check_inputs(made(*written), inputs, declared)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_the_input_without_the_column_is_named() -> None:
    file = FileInputs(kind="file", path="q.csv", format="auto", encoding="utf-8", limit=None)
    items = [{"q": "a", "expected": "b"}, {"q": "c"}, "d", {"q": "e"}]
    (said,) = told(file, items, {"equals": COLUMN})
    assert "input 2 of q.csv has no column 'expected'; available: q (the first of 3 such inputs)" in said
    (said,) = told(file, items, {"equals": {"column": "expectd"}})
    assert "did you mean expected?" in said


@pytest.mark.parametrize(
    ("kind", "cell", "said"),
    [
        ("contains", "", "is empty"),
        ("equals", None, "must be a string or a number; got null"),
        ("equals", [["a"]], "got a list"),
        ("equals", ["a", None], "got null"),
        ("equals", [], "is an empty list"),
        ("regex", "(", "is not a valid regular expression: missing )"),
        ("max_tokens", "-1", "an integer"),
        ("max_tokens", True, "an integer"),
        ("finish_reason", "end", "must be one of: stop, eos, length"),
        ("json_schema", "{", "is not valid JSON"),
        ("json_schema", '{"type": "objec"}', "is not a valid JSON Schema: type"),
    ],
)
def test_an_unusable_column_value_is_reported(kind: str, cell: Any, said: str) -> None:
    (mistake,) = told(INLINE, [{"expected": cell}], {kind: COLUMN})
    assert (
        mistake.startswith("checks.items.0: input 1 has an invalid value in column 'expected': it ") and said in mistake
    )


def test_all_unusable_schema_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "odd.json").write_bytes(b"\xff")
    (tmp_path / "wrong.json").write_text('{"type": 3}', encoding="utf-8")
    files = [str(tmp_path / name) for name in ("nowhere.json", "bad.json", "odd.json", "wrong.json")]
    said = told(INLINE, ["a"], *({"json_schema": file} for file in files))
    for one, piece in zip(
        said, ("no such file", "is not valid JSON", "is not UTF-8", "is not a valid JSON Schema: type"), strict=True
    ):
        assert piece in one


def test_existing_columns_are_accepted() -> None:
    check_inputs(made({"equals": COLUMN}), [Input(0, "0", {"expected": "x"})], INLINE)
    assert columns(made({"equals": COLUMN}, {"contains": "x"})) == {"expected"}
