"""Writing what a run leaves behind: record.json, whole or not at all, and samples.jsonl, line by line."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
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
    """Writes one job's record into its directory as the run goes; no other process can meanwhile.

    Args:
        anew: forget the samples that are there.
        fresh: there must be none.
        is_locked: by the process that has started this one for it.

    Raises:
        HforchError: another process writes there, or has written samples although there were to be none.
    """

    def __init__(self, directory: Path, anew: bool = False, fresh: bool = False, is_locked: bool = False) -> None:
        self.directory = directory
        self._stack = ExitStack()
        try:
            if not is_locked:
                self._stack.enter_context(locked(directory))
            if fresh and has_samples(directory):
                hint = "give another directory; nothing of it was touched"
                raise HforchError(f"another run has written its answers in {directory} meanwhile\n    {hint}")
            if is_special(directory / SAMPLES):
                raise HforchError(f"{directory / SAMPLES} cannot be written: it is not a regular file")
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
        """Replace record.json, whole or not at all.

        Args:
            stored: parts of an earlier record, which are kept where `record` does not set them anew.
        """
        write_record(self.directory, record, stored)

    def keep(
        self, samples: Samples, wanted: Callable[[Mapping[str, Any]], bool], names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Drop the samples that are not wanted, and lines that are none; return so much of the others as is named."""
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
        """Append one sample, and hand it to the system at once.

        Returns:
            the sample as a mapping, as readers get it.

        Raises:
            OSError: it cannot be written; nothing of it stays.
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
    """Replace the record.json of a directory, whole or not at all; what looks like a credential is not written.

    Args:
        stored: parts of an earlier record, which are kept where `record` does not set them anew.

    Returns:
        what was written.
    """
    whole = {**(stored or {}), **record.dump()}
    plan = {"plan": whole["plan"]} if "plan" in whole else {}  # ids, and many of them
    redacted = redacted_tree({name: value for name, value in whole.items() if name != "plan"})
    written = {name: (redacted | plan)[name] for name in whole}
    write_json(directory / RECORD, written)
    return written


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file, whole or not at all."""
    files.write_whole(path, to_json(value, indent=2) + "\n")


def has_samples(directory: Path) -> bool:
    with suppress(OSError):
        return (directory / SAMPLES).stat().st_size > 0
    return False


def begin_interrupted(directory: Path, begun: Record) -> None:
    """Write the record of a job that was interrupted before it wrote one itself.

    Args:
        begun: what is known of the job; it is changed.
    """
    if not (directory / RECORD).exists():
        begun.status, begun.exit_code = "interrupted", EXIT_INTERRUPTED
        begun.error = Error(type="KeyboardInterrupt", message="interrupted before it began")
        with RecordWriter(directory) as writer:
            writer.write(begun)


def write_failure(directory: Path, error: Error, exit_code: int, begun: Record) -> dict[str, Any]:
    """Add to the record of a directory that the job failed.

    Args:
        begun: what is written, with that, where there is no record that can be read.

    Returns:
        what was written.
    """
    try:
        stored, record = read_record(directory), Record()
    except (OSError, ValueError):
        stored, record = {}, begun
    record.status, record.exit_code, record.error = "failed", exit_code, error
    return write_record(directory, record, stored)
