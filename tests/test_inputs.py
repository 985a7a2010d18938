from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from hforch.config.schema import FileInputs, InlineInputs
from hforch.errors import ConfigError
from hforch.inputs import digest, load_inputs, read_inputs


def of_file(path: Path, kind: str = "auto", encoding: str = "utf-8", limit: int | None = None) -> FileInputs:
    return FileInputs(kind="file", path=str(path), format=kind, encoding=encoding, limit=limit)  # type: ignore[arg-type]


def items(path: Path, **more: object) -> list[object]:
    return [each.item for each in load_inputs(of_file(path, **more))]  # type: ignore[arg-type]


def mistakes(path: Path, **more: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_inputs(of_file(path, **more))  # type: ignore[arg-type]
    return str(caught.value)


def test_inline_items_keep_their_order_and_may_be_limited() -> None:
    inputs = InlineInputs(kind="inline", items=["a", {"question": "b"}, "c"], limit=2)  # type: ignore[arg-type]
    loaded = load_inputs(inputs)
    assert [(each.index, each.item) for each in loaded] == [(0, "a"), (1, {"question": "b"})]


def test_jsonl_contains_an_object_or_a_string_per_line(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"question": "a\\u2028b"}\r\n\n"plain"\n{"question": "c\u2028d"}', encoding="utf-8")
    assert items(path) == [{"question": "a\u2028b"}, "plain", {"question": "c\u2028d"}]


def test_every_invalid_json_line_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"a": 1}\n{broken\n[1]\n', encoding="utf-8")
    said = mistakes(path)
    assert f"{path}:2" in said and f"{path}:3" in said and f"{path}:1" not in said


@pytest.mark.parametrize("line", ['{"a": NaN}', '{"a": 1e400}', '{"a": "\\ud800"}', "[" * 100_000, "9" * 5000])
def test_a_line_that_cannot_be_recorded_is_rejected_with_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(f'{{"a": 1}}\n{line}\n', encoding="utf-8")
    assert f"{path}:2" in mistakes(path)


def test_an_inline_item_that_cannot_be_recorded_is_rejected() -> None:
    inputs = InlineInputs(kind="inline", items=["fine", {"a": float("nan")}], limit=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"inputs\.items\.1: column 'a' contains NaN or infinity"):
        load_inputs(inputs)


def test_csv_supports_a_header_and_quoted_newlines(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('question,expected\n"two\nlines",b\n"x, y",z\n', encoding="utf-8-sig")
    assert items(path) == [{"question": "two\nlines", "expected": "b"}, {"question": "x, y", "expected": "z"}]


@pytest.mark.parametrize("text", ["question,question\na,b\n", "question,\na,b\n", "a,b\n1\n"])
def test_csv_that_does_not_match_its_header_is_rejected_with_the_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "in.csv"
    path.write_text(text, encoding="utf-8")
    assert f"{path}:" in mistakes(path)


def test_every_row_of_a_csv_file_with_a_wrong_length_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('a,b\n"1\n2"\n1,2\n1,2,3\n', encoding="utf-8")
    said = mistakes(path)
    assert f"{path}:2" in said and f"{path}:5" in said and f"{path}:4" not in said


def test_inputs_know_their_lines(tmp_path: Path) -> None:
    texts = {"jsonl": '"a"\n\n"b"\n', "csv": 'q\n"a\nb"\n\nc\n', "txt": "a\n\nb\n"}
    for kind, text in texts.items():
        path = tmp_path / f"in.{kind}"
        path.write_text(text, encoding="utf-8")
        assert [each.line for each in load_inputs(of_file(path))] == {"csv": [2, 5]}.get(kind, [1, 3])


RICH = 'question{0}expected\n"two\nlines{0} ""so"" it, is;"{0}b\n\nx{0}z\n'


@pytest.mark.parametrize(("name", "delimiter"), [("q.csv", ","), ("q.csv", ";"), ("q.csv", "\t"), ("q.tsv", "\t")])
def test_the_delimiter_is_detected_and_reported(tmp_path: Path, name: str, delimiter: str) -> None:
    path = tmp_path / name
    path.write_text(RICH.format(delimiter), encoding="utf-8-sig")
    read = read_inputs(of_file(path))
    assert [each.item for each in read.inputs] == [
        {"question": f'two\nlines{delimiter} "so" it, is;', "expected": "b"},
        {"question": "x", "expected": "z"},
    ]
    assert [each.line for each in read.inputs] == [2, 5] and read.delimiter == delimiter
    assert bool(read.notes) == (name == "q.csv" and delimiter != ",")
    assert not read.notes or str(path) in read.notes[0]


def test_a_header_with_several_delimiters_is_split_as_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("first, second;note\n" + "a, b;c\nd;e\n" * 9, encoding="utf-8")
    assert items(path)[:2] == [{"first, second": "a, b", "note": "c"}, {"first, second": "d", "note": "e"}]


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("question\nWhat is; a volt?\nwhy\n", encoding="utf-8")
    assert items(path) == [{"question": "What is; a volt?"}, {"question": "why"}]


@pytest.mark.parametrize("name", ["in.csv", "in.tsv"])
def test_a_row_of_another_delimiter_with_a_wrong_length_is_reported_with_its_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text('a\tb\n"1\n2"\n1\t2\n1\t2\t3\n', encoding="utf-8")
    said = mistakes(path)
    assert f"{path}:2" in said and f"{path}:5" in said and f"{path}:4" not in said and "separated by a tab" in said


def test_a_json_file_contains_an_array_of_objects_or_strings(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('\n[\n  {"question": "a",\n   "n": [1, {}]},\n "b" , "c"\n]\n', encoding="utf-8-sig")
    loaded = load_inputs(of_file(path))
    assert [each.item for each in loaded] == [{"question": "a", "n": [1, {}]}, "b", "c"]
    assert [each.line for each in loaded] == [3, 5, 5]


JSON_ERRORS = {
    '{"a": 1}\n{"a": 2}': (1, "inputs.format=jsonl"),
    '[\n"a",\n{"a": }]': (3, "invalid JSON"),
    '[\n"a"\n"b"]': (3, "expected , or ]"),
    '[\n"a",\n]': (3, "invalid JSON"),
    '["a"\n': (2, "expected , or ]"),
    '[\n"a"]\n["b"]': (3, "after the end"),
    '[\n"a",\n3]': (3, "got int"),
    '[\n{"a": NaN}]': (2, "NaN"),
    '["a",\n' + "[" * 100_000: (2, "JSON"),
    '\n"a"': (2, "must contain an array"),
}


@pytest.mark.parametrize("text", JSON_ERRORS)
def test_an_error_in_a_json_file_is_reported_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "in.json"
    path.write_text(text, encoding="utf-8")
    line, problem = JSON_ERRORS[text]
    said = mistakes(path)
    assert f"{path}:{line}\n" in f"{said}\n" and problem in said
    assert "no inputs" in mistakes_of(tmp_path, "[ ]")


def mistakes_of(folder: Path, text: str) -> str:
    (folder / "other.json").write_text(text, encoding="utf-8")
    return mistakes(folder / "other.json")


def test_the_format_overrides_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('{"a": 1}\n{"a": 2}\n', encoding="utf-8")
    assert items(path, kind="jsonl") == [{"a": 1}, {"a": 2}]
    path.write_text("a\tb\n1\t2\n", encoding="utf-8")
    assert items(path, kind="tsv") == [{"a": "1", "b": "2"}]


def test_parquet_is_read_with_pyarrow(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    rows = [{"question": "a", "n": 1, "on": date(2020, 1, 2)}, {"question": "b", "n": None, "on": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "in.parquet")
    assert items(tmp_path / "in.parquet") == [{"question": "a", "n": 1, "on": "2020-01-02"}, rows[1]]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 damaged")
    assert "is not a valid Parquet file" in mistakes(tmp_path / "bad.parquet")


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hforch.input_files.parquet.find_spec", lambda name: None)
    (tmp_path / "in.parquet").write_bytes(b"PAR1")
    assert "pip install 'hforch[parquet]'" in mistakes(tmp_path / "in.parquet")


def test_txt_has_one_input_per_line(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("one\r\n\r\ntwo\n", encoding="utf-8", newline="")
    assert items(path) == ["one", "two"]


def test_another_encoding_must_be_configured(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes("é\n".encode("latin-1"))
    assert "is not encoded in utf-8" in mistakes(path)
    assert items(path, encoding="latin-1") == ["é"]
    assert "unknown encoding 'utf-99'" in mistakes(path, encoding="utf-99")


def test_a_missing_empty_or_unknown_file_is_rejected(tmp_path: Path) -> None:
    assert "no such file" in mistakes(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    assert "no inputs found in" in mistakes(tmp_path / "empty.txt")
    (tmp_path / "data.xlsx").write_text("x", encoding="utf-8")
    assert "inputs.format=" in mistakes(tmp_path / "data.xlsx")
    assert items(tmp_path / "data.xlsx", kind="txt") == ["x"]


def test_the_digest_does_not_depend_on_key_order() -> None:
    assert digest({"question": "why?"}) == digest("why?")
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})
