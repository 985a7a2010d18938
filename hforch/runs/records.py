"""What a run leaves behind: record.json, one for the job, and samples.jsonl, one line a sample.

record.json is written whole or not at all; samples.jsonl grows line by line, and its reader survives a torn last line.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal, Self

SCHEMA_VERSION = 1
RECORD, SAMPLES = "record.json", "samples.jsonl"

Status = Literal["ok", "failed", "interrupted", "partial"]
"""ok: every sample was answered. failed: some was not, or none could be. interrupted: by Ctrl-C.
partial: the run has not ended; it goes on now, or it was killed."""

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN")
SHORTEST_SECRET = 8  # a shorter one is no token, and stands in too many words
TOKEN_SHAPE = re.compile(r"\bhf_[A-Za-z0-9]{20,}\b")


class RecordWriter:
    """Writes one job's record into its directory as the run goes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._samples: IO[str] = (directory / SAMPLES).open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._samples.close()

    def write(self, record: Mapping[str, Any]) -> None:
        """Replace record.json, whole or not at all."""
        text = to_json(record, indent=2)
        unfinished = self.directory / f".{RECORD}.{os.getpid()}"
        with unfinished.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.directory / RECORD)

    def add(self, sample: Mapping[str, Any]) -> None:
        """Append one sample, and hand it to the system at once."""
        self._samples.write(to_json(sample) + "\n")
        self._samples.flush()


def begin_interrupted(directory: Path, **asked: Any) -> None:
    """Write the record of a job that was interrupted before it wrote one itself."""
    if not (directory / RECORD).exists():
        told = {"type": "KeyboardInterrupt", "message": "interrupted before it began"}
        with RecordWriter(directory) as writer:
            writer.write(
                {"schema_version": SCHEMA_VERSION, **asked, "status": "interrupted", "exit_code": 130, "error": told}
            )


def read_record(directory: Path) -> dict[str, Any]:
    """The record of a job's directory."""
    return dict(json.loads((directory / RECORD).read_text(encoding="utf-8")))


def read_samples(directory: Path) -> Iterator[dict[str, Any]]:
    """The samples of a job's directory; a last line that was cut off in writing is left out."""
    path = directory / SAMPLES
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def to_json(value: Any, indent: int | None = None, ascii_only: bool = False) -> str:
    """JSON text with every access token struck out, and with null for numbers that JSON does not have (NaN)."""
    try:
        text = _dumps(value, indent, ascii_only)
    except ValueError:
        text = _dumps(_each(value, _finite), indent, ascii_only)
    secrets = [secret for name in TOKEN_VARIABLES if len(secret := os.environ.get(name, "")) >= SHORTEST_SECRET]
    if TOKEN_SHAPE.search(text) or any(secret in text for secret in secrets):
        text = _dumps(_each(json.loads(text), lambda leaf: _struck(leaf, secrets)), indent, ascii_only)
    # A lone surrogate, which a model can produce, has no UTF-8 form.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _dumps(value: Any, indent: int | None, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=str, allow_nan=False)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _each(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each(item, change) for item in value]
    return change(value)


def _finite(leaf: Any) -> Any:
    return None if isinstance(leaf, float) and not math.isfinite(leaf) else leaf


def _struck(leaf: Any, secrets: list[str]) -> Any:
    if not isinstance(leaf, str):
        return leaf
    for secret in secrets:
        leaf = leaf.replace(secret, "***")
    return TOKEN_SHAPE.sub("***", leaf)
