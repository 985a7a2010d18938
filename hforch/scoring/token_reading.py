"""Compute the logits of texts in batches, for all kinds of scoring."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, Generic, TypeVar

from hforch.errors import HforchError, first_line
from hforch.generation.logit_reader import LogitReader
from hforch.machine import out_of_memory
from hforch.records.measured import AgainstBaseline, OnText
from hforch.scoring.distributions import Array
from hforch.utils.progress import Advance, Progress

Part = TypeVar("Part", AgainstBaseline, OnText)


class ScoringError(HforchError):
    """Scoring failed; the job's answers are not affected."""


@dataclass
class ScoredPart(Generic[Part]):
    """The result of one part of scoring.

    Attributes:
        part: the part for the record, with the reasons for missing metrics.
        metrics: values by name; `NAME_se` is the standard error of NAME.
    """

    part: Part
    metrics: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """A text and its prompt, as token ids."""

    id: str
    prompt: Sequence[int]
    ids: Sequence[int]


def rounded(metrics: dict[str, float | None]) -> dict[str, float | None]:
    """Return metrics rounded for the record; None for values that are not finite."""
    return {
        name: None if value is None or not math.isfinite(value) else round(value, 8) for name, value in metrics.items()
    }


def read_rows(
    logit_reader: LogitReader, batch: Sequence[Text], chunk: int, look: Callable[[int, int, Array], Any]
) -> list[list[Any]]:
    """Compute the logits of a batch, and call `look` with those of each row, without padding.

    Args:
        look: called with the row, its first position, and logits of shape (positions, vocabulary); may be called from
            several threads, but by only one at a time per row.

    Returns:
        The results of `look`, by row.

    Raises:
        ScoringError: the model failed, or `look` raised ValueError, such as for NaN logits.
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
    """Yield the chunks of a logit reader, with any error converted to ScoringError.

    Raises:
        ScoringError: the model failed.
    """
    try:
        with out_of_memory.translating("use a smaller scoring.batch_size or scoring.chunk"):
            yield from logit_reader.read([one.prompt for one in batch], [one.ids for one in batch], chunk)
    except HforchError as error:
        raise ScoringError(str(error)) from error
    except Exception as error:
        raise ScoringError(f"the model could not score the tokens: {first_line(error)}") from error


def scoring(progress: Progress, what: str, batches: Sequence[Sequence[Text]]) -> AbstractContextManager[Advance]:
    """Return a stage that shows how many texts are scored; call what it yields with the number of finished texts."""
    total = sum(map(len, batches))
    return progress.stage("score", f"{total} {what}", total)


def cut(texts: Sequence[Text], size: int) -> Iterator[Sequence[Text]]:
    """Yield the texts in batches."""
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
