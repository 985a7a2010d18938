"""Read CSV and TSV: a header, and a line for each input."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from hforch.errors import ConfigError, Mistake
from hforch.input_files.rows import Row, Table, at_line

COMMA, TAB = ",", "\t"
DELIMITERS = (COMMA, ";", TAB)
NAMES = {COMMA: "a comma", ";": "a semicolon", TAB: "a tab"}
SNIFFED = 64 * 1024  # number of characters from which the delimiter is detected


def read_csv(name: str, text: str) -> Table:
    """Read a file whose values are separated by commas, semicolons or tabs."""
    delimiter = sniffed(text)
    return Table(list(_rows(name, text, delimiter)), delimiter, is_sniffed=delimiter != COMMA)


def read_tsv(name: str, text: str) -> Table:
    return Table(list(_rows(name, text, TAB)), TAB)


def sniffed(text: str) -> str:
    """Return the delimiter of a file: the one that splits its header; if there are several, csv.Sniffer decides."""
    _allow_long_fields(text)
    splits = [one for one in DELIMITERS if len(_header(text, one)) > 1]
    if len(splits) < 2:
        return splits[0] if splits else COMMA
    try:
        return csv.Sniffer().sniff(text[:SNIFFED], "".join(splits)).delimiter
    except csv.Error:
        return splits[0]


def _rows(name: str, text: str, delimiter: str) -> Iterator[Row]:
    _allow_long_fields(text)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = next(rows, None)
    if not header or any(not column.strip() for column in header) or len(set(header)) < len(header):
        problem = "the first row must contain the column names, without duplicates"
        raise ConfigError([at_line(name, 1, problem, f"for example: question{delimiter}expected")])
    mistakes: list[Mistake] = []
    end = rows.line_num
    for row in rows:
        line, end = end + 1, rows.line_num  # a quoted value may span several lines
        if not row:
            continue
        if len(row) != len(header):
            problem = f"the row has {len(row)} values, but the header has {len(header)} columns"
            separated = f"; values are separated by {NAMES[delimiter]}" if delimiter != COMMA else ""
            mistakes.append(at_line(name, line, f"{problem}{separated}"))
            continue
        yield line, dict(zip(header, row, strict=True))
    if mistakes:
        raise ConfigError(mistakes)


def _header(text: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])


def _allow_long_fields(text: str) -> None:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
