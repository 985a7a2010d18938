"""What all scoring needs: texts as token ids, their reading in batches, and what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from hforch.errors import HforchError
from hforch.generation.logit_reader import LogitReader
from hforch.machine import out_of_memory
from hforch.scoring.distributions import Array


class ScoringError(HforchError):
    """A job could not be scored; its answers are there."""


@dataclass
class Scores:
    """What scoring found.

    Attributes:
        metrics: by name; `NAME_se` is the standard error of NAME.
        absent: why a metric is not known.
        about: what else the record says.
    """

    metrics: dict[str, float | None] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """A text behind its prompt, as token ids."""

    id: str
    prompt: Sequence[int]
    ids: Sequence[int]


def rounded(metrics: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 8) for name, value in metrics.items()}


def read_rows(
    logit_reader: LogitReader, batch: Sequence[Text], chunk: int, look: Callable[[int, int, Array], Any]
) -> list[list[Any]]:
    """Let a batch be read, and look at the logits of each row's own positions.

    Args:
        look: gets the row, its first position, and logits of shape (positions, vocabulary); rows are looked at by
            several threads, each row by one at a time.

    Returns:
        what it returned, by row.

    Raises:
        ScoringError: the model could not read, or `look` found what it gives to be no numbers (ValueError).
    """
    found: list[list[Any]] = [[] for _ in batch]
    with ThreadPoolExecutor() as pool:
        for start, logits in _read(logit_reader, batch, chunk):
            numbers = [min(logits.shape[1], len(one.ids) - start) for one in batch]
            rows = [row for row, number in enumerate(numbers) if number > 0]
            done = pool.map(look, rows, repeat(start), [logits[row, : numbers[row]] for row in rows])
            try:
                for row, one in zip(rows, done, strict=True):
                    found[row].append(one)
            except ValueError as error:
                raise ScoringError(str(error)) from error
    return found


def _read(logit_reader: LogitReader, batch: Sequence[Text], chunk: int) -> Iterator[tuple[int, Array]]:
    """What a logit reader reads; an error of its library is told as one of scoring.

    Raises:
        ScoringError: it could not read.
    """
    try:
        with out_of_memory.translating("use a smaller scoring.batch_size or scoring.chunk"):
            yield from logit_reader.read([one.prompt for one in batch], [one.ids for one in batch], chunk)
    except HforchError as error:
        raise ScoringError(str(error)) from error
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ScoringError(f"the model could not read given tokens: {reason}") from error


def cut(texts: Sequence[Text], size: int) -> Iterator[Sequence[Text]]:
    """The texts in batches."""
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
