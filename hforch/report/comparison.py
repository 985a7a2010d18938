"""A comparison for people and programs: terminal, Markdown, CSV, JSON, JUnit."""

from __future__ import annotations

import csv
import difflib
import io
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TextIO
from xml.etree import ElementTree

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hforch.compare.decide import Decision
from hforch.compare.drift import Pair
from hforch.compare.reading import read_jobs, samples_of
from hforch.compare.table import METRICS, Comparison, Row, compare
from hforch.report.terminal import shown
from hforch.report.wording import item_line
from hforch.runs.records import SCHEMA_VERSION, to_json

WIDE = 200  # columns, where no terminal says how many there are
NARROWEST, NARROWEST_AXIS = 8, 10  # characters, of a header, or of an axis, that is broken into lines
GAP = 2  # blanks between columns
Cell = Callable[[Row], str]


def _number(metric: str, digits: int) -> Cell:
    return lambda row: "" if (value := row.metrics.get(metric)) is None else f"{value:.{digits}f}"


def _share(metric: str) -> Cell:
    return lambda row: "" if (value := row.metrics.get(metric)) is None else f"{value:.0%}"


def _speed(row: Row) -> str:
    value = row.metrics.get("tokens_per_s")
    spread = f" ({row.spread[0]:.1f}-{row.spread[1]:.1f})" if row.spread else ""
    return "" if value is None else f"{value:.1f}{spread}"


def _ttft(row: Row) -> str:
    p50, p95 = row.metrics.get("ttft_ms"), row.metrics.get("ttft_p95_ms")
    return "" if p50 is None or p95 is None else f"{p50:.0f} / {p95:.0f}"


def _checks(row: Row) -> str:
    return "" if row.checks is None else f"{row.checks[0]}/{row.checks[1]}"


def _failed(row: Row) -> str:
    return f"{row.metrics['failed']:.0f}" if row.metrics.get("failed") else ""


def _divergence(row: Row) -> str:
    at, share = row.metrics.get("divergence"), row.metrics.get("divergence_share")
    return "" if at is None else f"{at:.0f} ({share or 0.0:.0%})"


COSTS: dict[str, Cell] = {
    "load s": _number("load_s", 1),
    "export s": _number("export_s", 1),
    "first token ms p50 / p95": _ttft,
    "ms/token": _number("tpot_ms", 1),
    "tokens/s": _speed,
    "memory MB": _number("peak_rss_mb", 0),
    "accelerator MB": _number("peak_accelerator_mb", 0),
    "disk MB": _number("disk_mb", 0),
}
OUTPUTS: dict[str, Cell] = {
    "checks": _checks,
    "failed": _failed,
    "baseline": lambda row: row.baseline or ("itself" if "baseline" in row.notes else ""),
    "identical": _share("identical"),
    "diverges at": _divergence,
    "chrF": _number("chrf", 1),
    "edit similarity": _number("similarity", 3),
    "notes": lambda row: "; ".join(row.notes),
}


def tables(comparison: Comparison, notes: bool = True) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Headers and cells of the two tables, costs and answers of the jobs; columns that say nothing are left out.

    Args:
        notes: whether the second one has a column of notes.
    """
    axes = {axis: _axis(axis) for axis in comparison.axes}
    for columns in (COSTS, OUTPUTS):
        wanted = {name: cell for name, cell in columns.items() if notes or name != "notes"}
        told = {name: cell for name, cell in wanted.items() if any(cell(row) for row in comparison.rows)}
        if told:
            cells: dict[str, Cell] = {"job": lambda row: row.entry.name, **axes, **told}
            yield list(cells), [[cell(row) for cell in cells.values()] for row in comparison.rows]


def _axis(axis: str) -> Cell:
    return lambda row: row.axes.get(axis, "")


def summarise(directory: Path, stream: TextIO | None) -> None:
    """The comparison at the end of a sweep: comparison.json and comparison.md in its directory, and its tables.

    Args:
        stream: where the tables go; None: nowhere.
    """
    comparison = compare(read_jobs([directory]))
    (directory / "comparison.json").write_text(to_json_text(comparison), encoding="utf-8")
    (directory / "comparison.md").write_text(to_markdown(comparison), encoding="utf-8")
    if stream is not None:
        print_comparison(comparison, stream, worst=False)


# ---------------------------------------------------------------- for people
def print_comparison(
    comparison: Comparison, stream: TextIO, decision: Decision | None = None, worst: bool = True
) -> None:
    """The tables, the notes, the samples that differ most (unless `worst` is false), and what follows from bounds."""
    console = Console(file=stream, width=None if stream.isatty() else WIDE, highlight=False, markup=False, emoji=False)
    found = list(tables(comparison, notes=False))
    if not found:
        console.print("nothing was measured: " + ", ".join(row.entry.name for row in comparison.rows))
    for headers, rows in found:
        for table in _laid_out(headers, rows, len(comparison.axes), console):
            console.print(table)
            console.print()
    for row in comparison.rows:
        for note in row.notes:
            if note != "baseline" and row.entry.was_run:
                console.print(f"job {row.entry.name}: {shown(note)}", soft_wrap=True)
    for note in comparison.notes:
        console.print(shown(note), style="yellow")
    for row in comparison.rows if worst else ():
        for pair in row.worst:
            console.print(
                Text.assemble((f"\njob {row.entry.name} against {row.baseline}: ", "bold"), shown(_where(pair, row)))
            )
            console.print(_coloured(pair))
    if decision:
        console.print()
        for line in decision_lines(decision):
            console.print(shown(line), soft_wrap=True)


def _laid_out(headers: Sequence[str], rows: Sequence[Sequence[str]], axes: int, console: Console) -> Iterator[Table]:
    """A table as it fits the terminal: with its axes in several lines, or in parts, but with no figure broken."""

    def part(places: Sequence[int], whole: bool) -> Table:
        return _table([headers[at] for at in places], [[cells[at] for at in places] for cells in rows], whole)

    def width(at: int, whole: bool) -> int:
        widest = max(map(cell_len, [*_title(headers[at], rows, at).splitlines(), *(shown(row[at]) for row in rows)]))
        return widest if whole or _is_figure(headers[at]) else min(widest, NARROWEST_AXIS)

    def fits(places: Sequence[int], whole: bool) -> bool:
        return sum(width(at, whole) + GAP for at in places) - GAP <= console.width

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


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], whole: bool) -> Table:
    """As narrow as its cells allow; `whole`: no cell is broken, else none that holds a figure."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for at, header in enumerate(headers):
        number = _is_figure(header)
        justify: Literal["right", "left"] = "right" if number else "left"
        table.add_column(_title(header, rows, at), justify=justify, overflow="fold", no_wrap=whole or number)
    for cells in rows:
        table.add_row(*(shown(cell) for cell in cells))
    return table


def _is_figure(header: str) -> bool:
    return header in COSTS or (header in OUTPUTS and header != "baseline")


def _title(header: str, rows: Sequence[Sequence[str]], at: int) -> str:
    """A header in lines that are not much wider than the cells below it."""
    width = max(NARROWEST, *(len(cells[at]) for cells in rows))
    lines = textwrap.wrap(shown(header).replace(".", ". "), width, break_long_words=False)
    return "\n".join(lines).replace(". ", ".")


def _where(pair: Pair, row: Row) -> str:
    return f"differs from {row.unit[:-1]} {pair.at} on ({pair.share:.0%}): {item_line(pair.item)}"


def words_that_differ(pair: Pair) -> Iterator[tuple[str, str]]:
    """(sign, words): ' ' for what both texts have, '-' for the baseline's alone, '+' for the job's."""
    one, other = pair.baseline.split(), pair.text.split()
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind == "equal":
            yield " ", " ".join(one[a:b])
            continue
        if a < b:
            yield "-", " ".join(one[a:b])
        if c < d:
            yield "+", " ".join(other[c:d])


def _coloured(pair: Pair) -> Text:
    text = Text("  ")
    for sign, words in words_that_differ(pair):
        style = {" ": "", "-": "red", "+": "green"}[sign]
        text.append(shown(words) if sign == " " else f"[{sign}{shown(words)}{sign}]", style)
        text.append(" ")
    return text


def decision_lines(decision: Decision) -> Iterator[str]:
    yield f"qualify: {', '.join(row.entry.name for row in decision.qualified) or 'none'}"
    for row, reasons in decision.refused:
        yield f"  not {row.title}: {'; '.join(reasons)}"
    if decision.pareto:
        yield f"Pareto set over speed, memory and quality: {', '.join(row.entry.name for row in decision.pareto)}"
    if decision.reason:
        yield decision.reason


def to_markdown(comparison: Comparison, decision: Decision | None = None) -> str:
    lines = []
    for headers, rows in tables(comparison):
        lines += [_line(headers), _line(["---"] * len(headers)), *map(_line, rows), ""]
    lines += [f"- {note.strip()}" for note in comparison.notes]
    for row in comparison.rows:
        for pair in row.worst:
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", pair.baseline + pair.text)), default=0))
            lines += ["", f"Job {row.entry.name} against {row.baseline} {_where(pair, row)}", "", f"{fence}diff"]
            lines += [f"{sign} {words}" for sign, words in words_that_differ(pair)] + [fence]
    if decision:
        lines += ["", *(f"- {line.strip()}" for line in decision_lines(decision))]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"


# ---------------------------------------------------------------- for programs
def to_csv(comparison: Comparison) -> str:
    text = io.StringIO()
    names = ["job", "directory", *comparison.axes, *METRICS, "unit", "baseline", "status", "notes"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in comparison.rows:
        own = {"job": row.entry.name, "directory": str(row.entry.directory), "unit": row.unit, "baseline": row.baseline}
        status = row.entry.record.get("status")
        writer.writerow(own | row.axes | row.metrics | {"status": status, "notes": "; ".join(row.notes)})
    return text.getvalue()


def to_data(comparison: Comparison, decision: Decision | None = None) -> dict[str, Any]:
    """The comparison as plain data; names as in the records."""
    rows = [
        {
            "job": row.entry.name,
            "directory": str(row.entry.directory),
            "status": row.entry.record.get("status"),
            "job_id": row.entry.record.get("job_id"),
            "load_key": row.entry.record.get("load_key"),
            "axes": row.axes,
            "metrics": row.metrics,
            "tokens_per_s_each": (row.entry.record.get("metrics") or {}).get("tokens_per_s_each"),
            "checks": row.checks,
            "baseline": row.baseline,
            "unit": row.unit,
            "machine": row.site[0],
            "parallel": row.site[1],
            "notes": row.notes,
            "worst": [asdict(pair) for pair in row.worst],
        }
        for row in comparison.rows
    ]
    decided = None
    if decision:
        decided = {
            "qualified": [row.entry.name for row in decision.qualified],
            "refused": {row.entry.name: reasons for row, reasons in decision.refused},
            "pareto": [row.entry.name for row in decision.pareto],
            "winner": decision.winner.entry.name if decision.winner else None,
            "reason": decision.reason,
        }
    return {"schema_version": SCHEMA_VERSION, "rows": rows, "notes": comparison.notes, "decision": decided}


def to_json_text(comparison: Comparison, decision: Decision | None = None) -> str:
    return to_json(to_data(comparison, decision), indent=2) + "\n"


def to_junit(comparison: Comparison) -> str:
    """JUnit XML: a suite for each job, and in it a case for each check of each sample.

    A sample that failed is an error, and so is a job that has not come to its end.
    """
    root = ElementTree.Element("testsuites", name="hforch")
    for row in comparison.rows:
        suite = ElementTree.SubElement(root, "testsuite", name=_xml(row.label))
        counts = {"tests": 0, "failures": 0, "errors": 0}
        cases = chain.from_iterable(map(_cases, samples_of(row.entry)))
        for case in chain(cases, _case_of_job(row)):
            suite.append(case)
            counts["tests"] += 1
            counts["failures"] += case.find("failure") is not None
            counts["errors"] += case.find("error") is not None
        suite.attrib |= {name: str(number) for name, number in counts.items()}
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cases(sample: dict[str, Any]) -> Iterator[ElementTree.Element]:
    where = f"input {sample['index'] + 1}" + (f", repeat {sample['repeat'] + 1}" if sample["repeat"] else "")
    if sample["error"] is not None:
        case = ElementTree.Element("testcase", classname="answer", name=where)
        ElementTree.SubElement(case, "error", message=_xml(sample["error"]["message"]))
        yield case
        return
    for check in sample.get("checks") or []:
        case = ElementTree.Element("testcase", classname=_xml(check["name"]), name=where)
        if not check["passed"]:
            failure = ElementTree.SubElement(case, "failure", message=_xml(str(check.get("why") or "not passed")))
            failure.text = _xml(str(sample["text"]))
        yield case


def _case_of_job(row: Row) -> Iterator[ElementTree.Element]:
    """A job that did not answer all its inputs, of which its samples cannot tell."""
    why = row.entry.unfinished
    if why is not None:
        case = ElementTree.Element("testcase", classname="job", name=_xml(row.entry.name))
        ElementTree.SubElement(case, "error", message=_xml(why))
        yield case


def _xml(text: str) -> str:
    """Text without the characters that XML does not have."""
    return "".join(
        one for one in text if one in "\t\n" or (one >= " " and not "\ud800" <= one <= "\udfff" and one < "\ufffe")
    )
