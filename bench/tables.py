"""Tables of results, for the terminal and as Markdown between a page's markers for each benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
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
            made.add_row(*map(escape, row), style="red" if number in self.missed else None)
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


def page_with(name: str, pages: Sequence[Path]) -> Path:
    """Return the page with a benchmark's markers.

    Raises:
        SystemExit: no page has the markers.
    """
    begin, end = marks(name)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if begin in text and end in text.partition(begin)[2]:
            return page
    raise SystemExit(f"{', '.join(map(str, pages))} lacks the markers {begin} and {end}")


def write(page: Path, name: str, introduction: str, tables: Iterable[Table]) -> None:
    """Replace a benchmark's tables in a page."""
    begin, end = marks(name)
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    text = "\n".join([introduction, *(table.markdown() for table in tables)])
    page.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
