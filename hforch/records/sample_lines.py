"""Read and validate the lines of samples.jsonl, for all readers.

A line is valid if it is JSON with the right keys and types, if the record plans its input and repeat, and if no earlier
line has the same input and repeat. The last line may be incomplete if the run was killed or is still writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hforch.errors import ConfigError, Mistake
from hforch.records.damage import sample_flaw
from hforch.records.round_count import repeats_of
from hforch.utils.datafiles import LONGEST_LINE, lines_of, parse_line
from hforch.utils.paths import open_file

SAMPLES = "samples.jsonl"
REMEMBERED = 1000  # maximum number of damaged lines whose numbers are stored
NAMED = 3  # maximum number of damaged lines that a message lists
SKIP = "--skip-damaged"


@dataclass(frozen=True)
class Expected:
    """The samples that a run may have according to its record.

    Attributes:
        ids: ids of the inputs in its batches; None if no batches were planned yet.
        repeats: the number of repeats of each input; None if unknown.
        unasked: the number of other inputs, which could not be attempted; each has one failed sample.
    """

    ids: frozenset[str] | None = None
    repeats: int | None = None
    unasked: int | None = None

    def flaw(self, sample: Mapping[str, Any], unasked: int) -> str | None:
        """Return why a sample does not belong to this run, or None.

        Args:
            unasked: the number of preceding samples of inputs that could not be attempted.
        """
        if self.repeats is not None and sample["repeat"] >= self.repeats:
            return f"repeat {sample['repeat']} was not planned"
        if self.ids is None or sample["input_id"] in self.ids:
            return None
        if not was_attempted(sample) and sample["repeat"] == 0 and (self.unasked is None or unasked < self.unasked):
            return None
        return f"input {sample['input_id'][:40]!r} was not planned"


def was_attempted(sample: Mapping[str, Any]) -> bool:
    """Return whether a sample's input was in a batch, unlike, for example, an input that was too long."""
    return sample["error"] is None or sample["batch"]["index"] >= 0


def was_interrupted(sample: Mapping[str, Any]) -> bool:
    """Return whether Ctrl-C ended a sample; such a sample has not failed."""
    return (sample["error"] or {}).get("type") == KeyboardInterrupt.__name__


def has_failed(sample: Mapping[str, Any]) -> bool:
    """Return whether a sample failed, other than by an interruption."""
    return sample["error"] is not None and not was_interrupted(sample)


def expected(record: Mapping[str, Any]) -> Expected:
    """Return the samples that a run may have according to its record."""
    if not record.get("plan"):
        return Expected()
    ids = frozenset(one for batch in record["plan"] for one in batch)
    repeats = repeats_of(record)
    if repeats is None:
        return Expected(ids)
    planned = record.get("planned", (record.get("totals") or {}).get("planned"))
    unasked = max(0, planned - len(ids) * repeats) if type(planned) is int else None
    return Expected(ids, repeats, unasked)


@dataclass
class Samples:
    """The samples in a job's directory, in the order in which they were written.

    Attributes:
        damaged: the reasons for the first lines that the last iteration skipped, by line number.
        left_out: the number of lines that the last iteration skipped.
        is_torn: whether the last line is incomplete, and therefore skipped.
    """

    directory: Path
    record: Mapping[str, Any]
    damaged: dict[int, str] = field(default_factory=dict)
    left_out: int = 0
    is_torn: bool = False

    @property
    def path(self) -> Path:
        return self.directory / SAMPLES

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (sample for _, sample in self.lines())

    def lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Yield each valid line with its sample.

        Raises:
            ConfigError: the file cannot be read.
        """
        self.damaged, self.left_out, self.is_torn = {}, 0, False
        try:
            with open_file(self.path) as file:
                yield from self._judged(file)
        except FileNotFoundError:
            return
        except OSError as error:
            problem = f"cannot read {self.path}: {(error.strerror or str(error)).lower()}"
            raise ConfigError([Mistake("", problem)]) from error

    def _judged(self, file: BinaryIO) -> Iterator[tuple[bytes, dict[str, Any]]]:
        wanted, unasked = expected(self.record), 0
        first: dict[int, int] = {}  # line numbers by the hash of input and repeat
        for number, line in enumerate(lines_of(file), 1):
            if len(line) > LONGEST_LINE:
                self._leave_out(number, f"it is longer than {LONGEST_LINE // 2**20} MiB")
                continue
            if not line.endswith(b"\n"):
                self.is_torn = True
                return
            sample, flaw = parsed(line)
            if flaw is None:
                flaw = wanted.flaw(sample, unasked)
            if flaw is None:
                earlier = first.setdefault(hash((sample["input_id"], sample["repeat"])), number)
                flaw = None if earlier == number else f"it has the same input and repeat as line {earlier}"
            if flaw is not None:
                self._leave_out(number, flaw)
                continue
            unasked += not was_attempted(sample)
            yield line, sample

    def _leave_out(self, number: int, flaw: str) -> None:
        self.left_out += 1
        if len(self.damaged) < REMEMBERED:
            self.damaged[number] = flaw

    def refuse(self) -> None:
        """Raise an error if the last iteration skipped damaged lines.

        Raises:
            ConfigError: lines were skipped; the message lists the first ones.
        """
        if self.left_out:
            hint = f"they were not written by this run; to skip them, pass {SKIP}"
            raise ConfigError([Mistake("", f"{self.path}{self._named()}", None, hint)])

    def notices(self) -> Iterator[str]:
        """Yield messages about the lines that the last iteration skipped."""
        if self.left_out:
            yield f"skipped: {self.path}{self._named()}"
        if self.is_torn:
            yield f"skipped: the last line of {self.path} is incomplete"

    def _named(self) -> str:
        """Return the end of a message, such as `:3 is not a sample of this run: it is not valid JSON`."""
        if self.left_out == 1:
            ((number, flaw),) = self.damaged.items()
            return f":{number} is not a sample of this run: {flaw}"
        told = [f"{number} ({flaw})" for number, flaw in list(self.damaged.items())[:NAMED]]
        more = ", ..." if self.left_out > NAMED else ""
        return f" has {self.left_out} lines that are not samples of this run: {', '.join(told)}{more}"


def refuse_damaged(directory: Path, record: Mapping[str, Any]) -> None:
    """Raise an error if the samples.jsonl of a job has lines that are not its samples.

    Raises:
        ConfigError: there are such lines, or the file cannot be read.
    """
    samples = Samples(directory, record)
    for _ in samples:
        pass
    samples.refuse()


def parsed(line: bytes) -> tuple[dict[str, Any], str | None]:
    """Return the sample in a line and None, or an empty mapping and the error."""
    try:
        sample = parse_line(line)
    except json.JSONDecodeError:
        return {}, "it is not valid JSON"
    except ValueError as error:
        return {}, str(error)
    if type(sample) is not dict:
        return {}, "it is not a mapping"
    return sample, sample_flaw(sample)
