"""Judge the lines of samples.jsonl, in one place for all who read them.

A line counts if it holds a sample of its run: JSON of the right shape, of an input and a repeat that the record plans,
and the first of them. The last line may be torn, if the run was killed or is still writing it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from hforch.errors import ConfigError, Mistake
from hforch.records.damage import sample_flaw
from hforch.utils.datafiles import LONGEST_LINE, lines_of, parse_line
from hforch.utils.paths import open_file

SAMPLES = "samples.jsonl"
REMEMBERED = 1000  # damaged lines by number
NAMED = 3  # damaged lines that are named in a message
SKIP = "--skip-damaged"


@dataclass(frozen=True)
class Expected:
    """The samples that a run may have, as far as its record tells.

    Attributes:
        ids: of the inputs in its batches; None if no batches were planned yet.
        repeats: how often each is asked; None if that is not known.
        unasked: how many other inputs there are, which could not be asked and have an error each.
    """

    ids: frozenset[str] | None = None
    repeats: int | None = None
    unasked: int | None = None

    def flaw(self, sample: Mapping[str, Any], unasked: int) -> str | None:
        """Return why this run has no such sample; None if it has.

        Args:
            unasked: how many samples of inputs that could not be asked there are already.
        """
        if self.repeats is not None and sample["repeat"] >= self.repeats:
            return f"repeat {sample['repeat']} was not planned"
        if self.ids is None or sample["input_id"] in self.ids:
            return None
        if not was_attempted(sample) and sample["repeat"] == 0 and (self.unasked is None or unasked < self.unasked):
            return None
        return f"the input {sample['input_id'][:40]!r} was not planned"


def was_attempted(sample: Mapping[str, Any]) -> bool:
    """Whether a sample's input was in a batch; otherwise it could not be asked, such as one that is too long."""
    return sample["error"] is None or sample["batch"]["index"] >= 0


def expected(record: Mapping[str, Any]) -> Expected:
    """Return the samples that the run of a record may have."""
    if not record.get("plan"):
        return Expected()
    ids = frozenset(one for batch in record["plan"] for one in batch)
    repeats = ((record.get("job") or {}).get("runtime") or {}).get("repeat")
    if type(repeats) is not int:
        return Expected(ids)
    planned = record.get("planned", (record.get("totals") or {}).get("planned"))
    unasked = max(0, planned - len(ids) * repeats) if type(planned) is int else None
    return Expected(ids, repeats, unasked)


@dataclass
class Samples:
    """The samples in a job's directory, in the order in which they were written.

    Attributes, which are those of the last pass over them:
        damaged: the first lines that were left out, by number, and why.
        left_out: how many lines that were.
        is_torn: whether the last line has no end; it is left out too.
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
        """Iterate over the lines that are samples, and what they hold.

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
            problem = f"{self.path} cannot be read: {(error.strerror or str(error)).lower()}"
            raise ConfigError([Mistake("", problem)]) from error

    def _judged(self, file: BinaryIO) -> Iterator[tuple[bytes, dict[str, Any]]]:
        wanted, unasked = expected(self.record), 0
        first: dict[int, int] = {}  # a hash of input and repeat, and the line
        for number, line in enumerate(lines_of(file), 1):
            if len(line) > LONGEST_LINE:
                self._leave_out(number, f"it has more than {LONGEST_LINE // 2**20} MiB")
                continue
            if not line.endswith(b"\n"):
                self.is_torn = True
                return
            sample, flaw = parsed(line)
            if flaw is None:
                flaw = wanted.flaw(sample, unasked)
            if flaw is None:
                earlier = first.setdefault(hash((sample["input_id"], sample["repeat"])), number)
                flaw = None if earlier == number else f"line {earlier} has this input and repeat already"
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
        """Refuse lines that the last pass has left out.

        Raises:
            ConfigError: there are some; it names the first of them.
        """
        if self.left_out:
            hint = f"{SKIP} leaves such lines out; they were not written by this run"
            raise ConfigError([Mistake("", f"{self.path}{self._named()}", None, hint)])

    def notices(self) -> Iterator[str]:
        """Yield what the last pass has left out, in words."""
        if self.left_out:
            yield f"left out: {self.path}{self._named()}"
        if self.is_torn:
            yield f"the last line of {self.path} is torn, and left out"

    def _named(self) -> str:
        """Such as `:3 is no sample of this run: it is not JSON`."""
        if self.left_out == 1:
            ((number, flaw),) = self.damaged.items()
            return f":{number} is no sample of this run: {flaw}"
        told = [f"{number} ({flaw})" for number, flaw in list(self.damaged.items())[:NAMED]]
        more = ", ..." if self.left_out > NAMED else ""
        return f" has {self.left_out} lines that are no samples of this run: {', '.join(told)}{more}"


def refuse_damaged(directory: Path, record: Mapping[str, Any]) -> None:
    """Refuse a job whose samples.jsonl has lines that are no samples of it.

    Raises:
        ConfigError: it has; or the file cannot be read.
    """
    samples = Samples(directory, record)
    for _ in samples:
        pass
    samples.refuse()


def parsed(line: bytes) -> tuple[dict[str, Any], str | None]:
    """Return the sample that a line holds, and None; or what is wrong with it."""
    try:
        sample = parse_line(line)
    except json.JSONDecodeError:
        return {}, "it is not JSON"
    except ValueError as error:
        return {}, str(error)
    if type(sample) is not dict:
        return {}, "it holds no mapping"
    return sample, sample_flaw(sample)
