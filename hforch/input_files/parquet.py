"""Read Parquet with pyarrow (extra `parquet`)."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import Any

from hforch.errors import ConfigError, Mistake, first_line
from hforch.input_files.rows import Table, usable_rows

INSTALL = "pip install 'hforch[parquet]'"


def read_parquet(name: str, content: bytes) -> Table:
    """Read all rows; raise ConfigError if pyarrow is missing or the file is damaged."""
    if find_spec("pyarrow") is None:
        problem = f"reading {name} requires pyarrow, which is not installed"
        raise ConfigError([Mistake("inputs.path", problem, None, f"{INSTALL}, or convert the file to JSON Lines")])
    import pyarrow as pa
    import pyarrow.parquet

    try:
        rows: list[dict[str, Any]] = pa.parquet.read_table(io.BytesIO(content)).to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        problem = f"{name} is not a valid Parquet file: {first_line(error)}"
        raise ConfigError([Mistake("inputs.path", problem)]) from None
    return Table(list(usable_rows(name, ((None, _plain(row)) for row in rows))))


def _plain(value: Any) -> Any:
    """Return a value with dates, decimals and other types that JSON lacks converted to strings."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
