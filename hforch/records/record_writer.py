"""Write record.json atomically, and samples.jsonl line by line."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from hforch.errors import EXIT_INTERRUPTED, HforchError
from hforch.records.directory_lock import locked
from hforch.records.fields import Error
from hforch.records.record import Record
from hforch.records.record_files import RECORD, read_record
from hforch.records.sample import Sample
from hforch.records.sample_lines import SAMPLES, Samples
from hforch.utils import files
from hforch.utils.json_text import to_json
from hforch.utils.paths import is_special
from hforch.utils.redaction import redacted_tree


class RecordWriter:
    """Writes the record and samples of a running job into its directory, which it locks.

    Args:
        `anew`: whether to delete existing samples.
        fresh: whether existing samples are an error.
        is_locked: whether the parent process has locked the directory.

    Raises:
        HforchError: another process is writing to the directory, or samples exist despite `fresh`.
    """

    def __init__(self, directory: Path, anew: bool = False, fresh: bool = False, is_locked: bool = False) -> None:
        self.directory = directory
        self._stack = ExitStack()
        try:
            if not is_locked:
                self._stack.enter_context(locked(directory))
            if fresh and has_samples(directory):
                hint = "use another directory; nothing in this one was changed"
                raise HforchError(f"another run has written its samples to {directory} in the meantime\n    {hint}")
            if is_special(directory / SAMPLES):
                raise HforchError(f"cannot write {directory / SAMPLES}: it is not a regular file")
            self._samples = self._open("wb" if anew else "ab")
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._samples.close()
        self._stack.close()

    def _open(self, mode: Literal["wb", "ab"]) -> io.FileIO:
        return (self.directory / SAMPLES).open(mode, buffering=0)

    def write(self, record: Record, stored: Mapping[str, Any] | None = None) -> None:
        """Replace record.json atomically.

        Args:
            stored: parts of an earlier record to retain, unless `record` sets them.
        """
        write_record(self.directory, record, stored)

    def keep(
        self, samples: Samples, wanted: Callable[[Mapping[str, Any]], bool], names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Delete invalid lines and samples that are not `wanted`; return the keys `names` of the others."""
        self._samples.close()
        kept = []
        with files.replacing(samples.path, binary=True) as file:
            for line, sample in samples.lines():
                if wanted(sample):
                    file.write(line)
                    kept.append({name: sample.get(name) for name in names})
        self._samples = self._open("ab")
        return kept

    def add(self, sample: Sample) -> dict[str, Any]:
        """Append one sample, without buffering.

        Returns:
            The sample as a mapping, in the form in which it is read.

        Raises:
            OSError: the sample cannot be written; a partial line is removed.
        """
        stored = sample.dump()
        line = (to_json(stored) + "\n").encode()
        end = self._samples.tell()
        try:
            while line:
                line = line[self._samples.write(line) :]
        except OSError as error:
            with suppress(OSError):
                self._samples.truncate(end)
            error.filename = str(self.directory / SAMPLES)
            raise
        return stored


def write_record(directory: Path, record: Record, stored: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Replace the record.json of a directory atomically, with credentials redacted.

    Args:
        stored: parts of an earlier record to retain, unless `record` sets them.

    Returns:
        The written record.
    """
    whole = {**(stored or {}), **record.dump()}
    plan = {"plan": whole["plan"]} if "plan" in whole else {}  # only input ids, too many to redact
    redacted = redacted_tree({name: value for name, value in whole.items() if name != "plan"})
    written = {name: (redacted | plan)[name] for name in whole}
    write_json(directory / RECORD, written)
    return written


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file atomically."""
    files.write_whole(path, to_json(value, indent=2) + "\n")


def has_samples(directory: Path) -> bool:
    with suppress(OSError):
        return (directory / SAMPLES).stat().st_size > 0
    return False


def begin_interrupted(directory: Path, begun: Record) -> None:
    """Write `begun` as the record of a job that was interrupted before it wrote one."""
    if not (directory / RECORD).exists():
        begun.status, begun.exit_code = "interrupted", EXIT_INTERRUPTED
        begun.error = Error(type="KeyboardInterrupt", message="interrupted before it started")
        with RecordWriter(directory) as writer:
            writer.write(begun)


def stop_between_parts(directory: Path) -> None:
    """Set the status of a job that takes turns with others, if the sweep was stopped before its last part."""
    with suppress(OSError, ValueError):
        stored = read_record(directory)
        if stored.get("status") == "partial" and stored.get("rounds"):
            finished = datetime.now(UTC).isoformat(timespec="milliseconds")
            stored.pop("planned", None)
            write_record(directory, Record(status="interrupted", finished=finished, exit_code=EXIT_INTERRUPTED), stored)


def write_failure(directory: Path, error: Error, exit_code: int, begun: Record) -> dict[str, Any]:
    """Add a failure to the record of a job's directory, or to `begun` if there is no readable record.

    Returns:
        The written record.
    """
    try:
        stored, record = read_record(directory), Record()
    except (OSError, ValueError):
        stored, record = {}, begun
    record.status, record.exit_code, record.error = "failed", exit_code, error
    return write_record(directory, record, stored)
