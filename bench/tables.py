"""Tables of results, for the terminal and as Markdown between a page's markers for each benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table as RichTable

from bench.ratios import Ratio

RATIO_COLUMNS = ("what", "hforch", "peer", "ratio", "quartiles", "at most")


@dataclass(frozen=True)
class Table:
    """Attributes:
    title: empty if the columns are self-explanatory.
    missed: indices of the rows that miss their target.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    missed: frozenset[int] = frozenset()

    def for_terminal(self) -> RichTable:
        made = RichTable(*self.columns, title=self.title or None)
        for number, row in enumerate(self.rows):
            made.add_row(*row, style="red" if number in self.missed else None)
        return made

    def markdown(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        title = f"{self.title}:\n\n" if self.title else ""
        return title + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def ratio_table(ratios: Sequence[Ratio]) -> Table:
    missed = frozenset(number for number, ratio in enumerate(ratios) if not ratio.met)
    return Table("", RATIO_COLUMNS, [ratio.row() for ratio in ratios], missed)


def marks(name: str) -> tuple[str, str]:
    return f"<!-- bench {name}: begin -->", f"<!-- bench {name}: end -->"


def around_marks(page: Path, name: str) -> tuple[str, str]:
    """Return the text before and after a benchmark's tables in a page.

    Raises:
        SystemExit: the page lacks the markers.
    """
    begin, end = marks(name)
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{page} lacks the markers {begin} and {end}")
    return before, after


def write(page: Path, name: str, introduction: str, tables: Iterable[Table]) -> None:
    """Replace a benchmark's tables in a page."""
    before, after = around_marks(page, name)
    begin, end = marks(name)
    text = "\n".join([introduction, *(table.markdown() for table in tables)])
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
