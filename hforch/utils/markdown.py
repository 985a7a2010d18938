"""Format Markdown tables, and replace the generated tables of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(_lines(headers, rows))


def with_tables(text: str, kind: str, tables: Mapping[str, str]) -> str:
    """Return a page with each table between `<!-- KIND: NAME -->` and `<!-- end -->` replaced by tables[NAME].

    Raises:
        KeyError: the page names a table that is not in `tables`.
    """
    block = re.compile(rf"<!-- {kind}: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
    return block.sub(lambda mark: f"<!-- {kind}: {mark[1]} -->\n{tables[mark[1]]}\n<!-- end -->", text)


def _lines(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (headers, ["---"] * len(headers), *rows):
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
