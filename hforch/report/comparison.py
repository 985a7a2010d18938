"""Render a comparison on a terminal and as Markdown."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hforch.comparison.decision import Decision
from hforch.comparison.divergent_tokens import DivergentToken
from hforch.comparison.drift import Pair
from hforch.comparison.entries import read_jobs
from hforch.comparison.rows import Row
from hforch.comparison.table import Comparison, compare
from hforch.comparison.word_diff import alignment
from hforch.records.round_count import repeats_of
from hforch.report.comparison_tables import COSTS, OUTPUTS, SCORED, intervals_line, tables
from hforch.report.console import console
from hforch.report.export import to_json_text
from hforch.report.plain_watcher import shown
from hforch.report.wording import columns_of, item_line
from hforch.utils.files import write_whole
from hforch.utils.sanitize import for_markdown, for_terminal

WIDE = 280  # width in characters if the output is not a terminal
NARROWEST, NARROWEST_AXIS = 8, 10  # minimum width in characters of a wrapped header, and of a wrapped setting
GAP = 2  # number of spaces between columns


def summarise(directory: Path, stream: TextIO | None) -> None:
    """Write comparison.json and comparison.md to the directory of a sweep, and print the tables.

    Args:
        stream: the stream for the tables; None to print nothing.
    """
    comparison = compare(read_jobs([directory]))
    write_whole(directory / "comparison.json", to_json_text(comparison))
    write_whole(directory / "comparison.md", to_markdown(comparison))
    if stream is not None:
        print_comparison(comparison, stream, worst=False)


# ---------------------------------------------------------------- terminal
def print_comparison(
    comparison: Comparison, stream: TextIO, decision: Decision | None = None, worst: bool = True
) -> None:
    """Print the tables, the notes, the samples that differ most (if `worst`), and the decision."""
    printer = console(stream, None if stream.isatty() else WIDE)
    found = list(tables(comparison, notes=False))
    if not found:
        printer.print("no measurements: " + ", ".join(row.entry.name for row in comparison.rows))
    if (whole := _joined(found, 1 + len(comparison.axes))) and _fits(*whole, printer):
        found = [whole]
    for headers, rows in found:
        for table in _laid_out(headers, rows, len(comparison.axes), printer):
            printer.print(table)
            printer.print()
    if line := intervals_line(comparison):
        printer.print(shown(line))
    for row in comparison.rows:
        for note in row.notes:
            if note != "baseline" and row.entry.was_run:
                printer.print(f"job {row.entry.name}: {shown(note)}", soft_wrap=True)
    for note in comparison.notes:
        printer.print(shown(note), style="yellow")
    for row in comparison.rows if worst else ():
        for pair in row.worst:
            printer.print(
                Text.assemble((f"\njob {row.entry.name} vs. {row.baseline}: ", "bold"), shown(_where(pair, row)))
            )
            printer.print(_colored(pair))
        for token in row.divergent_tokens:
            where, *lines = divergent_token_lines(token)
            printer.print(Text.assemble((f"\njob {row.entry.name} vs. {row.baseline}: ", "bold"), shown(where)))
            for line in lines:
                printer.print(f"  {shown(line)}")
    if decision:
        printer.print()
        for line in decision_lines(decision):
            printer.print(shown(line), soft_wrap=True)


def _laid_out(headers: Sequence[str], rows: Sequence[Sequence[str]], axes: int, printer: Console) -> Iterator[Table]:
    """Yield a table that fits the terminal, with wrapped settings or in several parts. Numbers are never wrapped."""

    def part(places: Sequence[int], whole: bool) -> Table:
        return _table([headers[at] for at in places], [[cells[at] for at in places] for cells in rows], whole)

    def width(at: int, whole: bool) -> int:
        widest = _width(headers, rows, at)
        return widest if whole or _is_figure(headers[at]) else min(widest, NARROWEST_AXIS)

    def fits(places: Sequence[int], whole: bool) -> bool:
        return sum(width(at, whole) + GAP for at in places) - GAP <= printer.width

    everything = range(len(headers))
    for whole in (True, False):
        if fits(everything, whole):
            yield part(everything, whole)
            return
    lead = [*range(1 + axes)]
    if not all(fits([*lead, at], False) for at in everything[len(lead) :]):
        yield part(lead, fits(lead, True))
        lead = lead[:1]
    some = [*lead]
    for at in everything[1 + axes :]:
        if len(some) > len(lead) and not fits([*some, at], False):
            yield part(some, fits(some, True))
            some = [*lead]
        some.append(at)
    yield part(some, fits(some, True))


def _joined(found: Sequence[tuple[list[str], list[list[str]]]], lead: int) -> tuple[list[str], list[list[str]]] | None:
    """Join tables that start with the same `lead` columns; return None if there are fewer than two tables."""
    if len(found) < 2:
        return None
    first, *others = found
    headers = [*first[0], *(header for other, _ in others for header in other[lead:])]
    by_row = zip(*(rows for _, rows in found), strict=True)
    return headers, [[*row, *(cell for part in parts for cell in part[lead:])] for row, *parts in by_row]


def _fits(headers: Sequence[str], rows: Sequence[Sequence[str]], printer: Console) -> bool:
    return sum(_width(headers, rows, at) + GAP for at in range(len(headers))) - GAP <= printer.width


def _width(headers: Sequence[str], rows: Sequence[Sequence[str]], at: int) -> int:
    return max(map(cell_len, [*_title(headers[at], rows, at).splitlines(), *(shown(row[at]) for row in rows)]))


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], whole: bool) -> Table:
    """Return a table with columns as narrow as their cells. Numbers are never wrapped; with `whole`, no cell is."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for at, header in enumerate(headers):
        number = _is_figure(header)
        justify: Literal["right", "left"] = "right" if number else "left"
        table.add_column(_title(header, rows, at), justify=justify, overflow="fold", no_wrap=whole or number)
    for cells in rows:
        table.add_row(*(shown(cell) for cell in cells))
    return table


def _is_figure(header: str) -> bool:
    return header in COSTS or header in SCORED or (header in OUTPUTS and header != "baseline")


def _title(header: str, rows: Sequence[Sequence[str]], at: int) -> str:
    """Return a header, wrapped to about the width of the cells below it."""
    width = max(NARROWEST, *(len(cells[at]) for cells in rows))
    lines = textwrap.wrap(shown(header).replace(".", ". "), width, break_long_words=False)
    return "\n".join(lines).replace(". ", ".")


def _where(pair: Pair, row: Row) -> str:
    name = "repeat" if (row.entry.get("runtime.repeat") or 1) > 1 else "round"
    repeat = f" ({name} {pair.repeat + 1})" if (repeats_of(row.entry.record) or 1) > 1 else ""
    where = f"first difference at {row.unit[:-1]} {pair.at} ({pair.share:.0%} into the answer)"
    return f"{where}. Input{repeat}: {item_line(pair.item, columns=columns_of(row.entry.get('prompt')))}"


def divergent_token_lines(token: DivergentToken) -> Iterator[str]:
    """Yield the position of a divergent token, and the most likely tokens of both jobs there."""
    after = f"after {token.before!r}" if token.before else "at the start"
    where = f"token {token.position} of the baseline's answer, {after}"
    yield f"KL divergence {token.kl:.2f} nats, one of the largest of this job, at {where}"
    for name, tokens in (("baseline", token.baseline), ("job", token.job)):
        said = ", ".join(f"{one['text']!r} {math.exp(one['log_probability']):.0%}" for one in tokens)
        yield f"{name + ':':9} {said}"


def words_that_differ(pair: Pair) -> Iterator[tuple[str, str]]:
    """Yield (sign, words): ' ' for words in both texts, '-' only in the baseline's text, '+' only in the job's."""
    one, other = pair.baseline.split(), pair.text.split()
    a = b = 0
    for same, gone, new in alignment(one, other):
        for sign, some in (
            (" ", one[a : a + same]),
            ("-", one[a + same : a + same + gone]),
            ("+", other[b + same : b + same + new]),
        ):
            if some:
                yield sign, " ".join(some)
        a, b = a + same + gone, b + same + new


def _colored(pair: Pair) -> Text:
    text = Text("  ")
    for sign, words in words_that_differ(pair):
        style = {" ": "", "-": "red", "+": "green"}[sign]
        opening, closing = {" ": ("", ""), "-": ("[-", "-]"), "+": ("{+", "+}")}[sign]
        text.append(f"{opening}{shown(words)}{closing}", style)
        text.append(" ")
    return text


def decision_lines(decision: Decision) -> Iterator[str]:
    yield f"qualified: {', '.join(row.entry.name for row in decision.qualified) or 'none'}"
    for row, reasons in decision.refused:
        yield f"  not qualified: {row.title}: {'; '.join(reasons)}"
    for row, doubts in decision.unconfirmed:
        yield f"  not confirmed: {row.title}: {'; '.join(doubts)}"
    if decision.pareto:
        names = ", ".join(row.entry.name for row in decision.pareto)
        yield f"Pareto set in speed, memory and quality (no other job is confirmed to be better): {names}"
    if decision.reason:
        yield decision.reason
    if decision.remark:
        yield decision.remark
    if decision.variation:
        yield decision.variation


def to_markdown(comparison: Comparison, decision: Decision | None = None) -> str:
    lines = []
    for headers, rows in tables(comparison):
        lines += [_line(headers), _line(["---"] * len(headers)), *map(_line, rows), ""]
    if line := intervals_line(comparison):
        lines.append(f"- {for_markdown(line)}")
    lines += [f"- {for_markdown(note.strip())}" for note in comparison.notes]
    for row in comparison.rows:
        for pair in row.worst:
            lines += ["", for_markdown(f"Job {row.entry.name} vs. {row.baseline}: {_where(pair, row)}"), ""]
            lines += _fenced([f"{sign} {words}" for sign, words in words_that_differ(pair)], "diff")
        for token in row.divergent_tokens:
            where, *others = divergent_token_lines(token)
            lines += ["", for_markdown(f"Job {row.entry.name} vs. {row.baseline}: {where}")]
            lines += ["", *_fenced(others, "text")]
    if decision:
        lines += ["", *(f"- {for_markdown(line.strip())}" for line in decision_lines(decision))]
    return "\n".join(lines).rstrip() + "\n"


def _fenced(lines: Sequence[str], language: str) -> list[str]:
    """Return a Markdown code block whose fence is longer than any fence in the lines."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", "".join(lines))), default=0))
    return [f"{fence}{language}", *map(for_terminal, lines), fence]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(for_markdown, cells))} |"
