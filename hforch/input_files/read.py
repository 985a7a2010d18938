"""Read the items of a file or of standard input, in the format that its extension or the configuration states."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from hforch.config.schema import FileInputs
from hforch.errors import ConfigError, Mistake
from hforch.input_files.delimited import read_csv, read_tsv
from hforch.input_files.json_text import read_json, read_jsonl
from hforch.input_files.parquet import read_parquet
from hforch.input_files.rows import Table
from hforch.utils.paths import expanded, read_bytes

STDIN = "-"
STDIN_NAME = "standard input"
EXTENSIONS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".txt": "txt",
}


def is_stdin(inputs: FileInputs) -> bool:
    return inputs.path == STDIN


def name_of(inputs: FileInputs) -> str:
    """Return the name of the source of the inputs, for messages."""
    return STDIN_NAME if is_stdin(inputs) else str(expanded(inputs.path))


def format_of(inputs: FileInputs) -> str | None:
    """Return the format, as configured or by file extension (txt for standard input); None if it is unknown."""
    if inputs.format != "auto":
        return inputs.format
    return "txt" if is_stdin(inputs) else EXTENSIONS.get(Path(inputs.path).suffix.lower())


def read_table(inputs: FileInputs, content: bytes | None = None) -> Table:
    """Read all items.

    Args:
        content: the bytes to read instead of the file; required for standard input.

    Raises:
        ConfigError: the file is missing, unreadable or invalid; line numbers start at 1.
    """
    name, kind = name_of(inputs), format_of(inputs)
    if kind is None:
        hint = f"set the format: inputs.format={', '.join(dict.fromkeys(EXTENSIONS.values()))}"
        problem = f"{name} has an unknown file extension; known: {', '.join(EXTENSIONS)}"
        raise ConfigError([Mistake("inputs.path", problem, None, hint)])
    if content is None:
        content = _content(inputs)
    if kind == "parquet":
        return read_parquet(name, content)
    return READERS[kind](name, _text(name, content, inputs.encoding))


def _read_txt(name: str, text: str) -> Table:
    lines = io.StringIO(text, newline=None).read().split("\n")
    return Table([(number, line) for number, line in enumerate(lines, 1) if line.strip()])


READERS: dict[str, Callable[[str, str], Table]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "tsv": read_tsv,
    "txt": _read_txt,
}


def _content(inputs: FileInputs) -> bytes:
    if is_stdin(inputs):
        problem = "standard input can be read only by the command that starts a run"
        raise ConfigError([Mistake("inputs.path", problem, None, "save the inputs to a file and pass its path")])
    path = expanded(inputs.path)
    try:
        return read_bytes(path)
    except OSError as error:
        raise ConfigError([Mistake("inputs.path", f"{path}: {(error.strerror or str(error)).lower()}")]) from error


def _text(name: str, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise ConfigError([Mistake("inputs.encoding", f"unknown encoding {encoding!r}")]) from error
    except UnicodeError as error:
        at = f": invalid byte at offset {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        problem = f"{name} is not encoded in {encoding}{at}"
        hint = "set the file's encoding, for example inputs.encoding=latin-1"
        raise ConfigError([Mistake("inputs.encoding", problem, None, hint)]) from error
