"""Tables of results as HTML for notebooks, and as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from hforch.backends.base import install
from hforch.errors import HforchError
from hforch.utils.sanitize import for_terminal

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_ROWS = 50  # maximum number of rows in a notebook
STYLE = "white-space: pre-wrap; text-align: left; vertical-align: top; max-width: 40em"

AS_TEXT = "tex2jax_ignore mathjax_ignore"  # notebooks would typeset $...$ in answers


def to_dataframe(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Return rows as a pandas DataFrame.

    Raises:
        HforchError: pandas is not installed.
    """
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise HforchError(f"to_pandas requires pandas, which is not installed\n    {install('pandas')}") from error
    return DataFrame(rows)


def to_html(headers: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", notes: Iterable[str] = ()) -> str:
    """Return a table as HTML in which all texts are escaped; with many rows, only the first ones."""
    parts = [f"<p><b>{_shown(title)}</b></p>"] if title else []
    head = "".join(f"<th style={STYLE!r}>{_shown(name)}</th>" for name in headers)
    body = "".join(_row(cells) for cells in rows[:MOST_ROWS])
    parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    more = [f"{len(rows) - MOST_ROWS} more rows"] if len(rows) > MOST_ROWS else []
    parts += [f"<p>{_shown(note)}</p>" for note in (*more, *notes)]
    return f'<div class="{AS_TEXT}">{"".join(parts)}</div>'


def _row(cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<td style={STYLE!r}>{_shown(cell)}</td>' for cell in cells)}</tr>"


def _shown(text: str) -> str:
    return escape(for_terminal(text))
