"""The rounds of a job: their batches, and the measurements of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from hforch.load_profiles.base import Batch
from hforch.records.rounds import Round

if TYPE_CHECKING:
    from hforch.runs.resuming import PreviousRun

BEGUN = ("round", "load", "started")
"""The keys of the entry of a round that is not complete."""


def in_rounds(batches: Sequence[Batch], repeats: int, rounds: int) -> list[Batch]:
    """Return the batches of all rounds.

    Args:
        batches: the batches of one round.
        repeats: the number of repeats in a round.
        rounds: the number of rounds.
    """
    return [
        replace(batch, repeat=number * repeats + batch.repeat, round=number)
        for number in range(rounds)
        for batch in batches
    ]


def recorded_rounds(before: PreviousRun, missing: Iterable[Batch]) -> list[Round]:
    """Return the recorded rounds in order, without the measurements of those that have missing batches.

    Args:
        before: the results before the job is continued.
        missing: the batches that have not been completed.
    """
    again = {batch.round for batch in missing}
    return [
        Round(**{name: one[name] for name in (BEGUN if one["round"] in again else Round.model_fields) if name in one})
        for one in before.record.get("rounds") or ()
    ]


def begun(number: int, load: int) -> Round:
    """Return the entry of a round that begins now."""
    return Round(round=number, load=load, started=datetime.now(UTC).isoformat(timespec="milliseconds"))


def measured(entry: Round, samples: Sequence[Mapping[str, Any]], walls: Mapping[int, float], is_whole: bool) -> Round:
    """Return the entry of a round with its measurements.

    Args:
        entry: the entry of the round before it was measured.
        samples: the samples that were measured, including failed ones.
        walls: their wall time by repeat, in seconds.
        is_whole: whether they are all samples of the round.
    """
    found = entry.model_copy()
    found.seconds = round(sum(walls.values()), 6)
    good = [sample for sample in samples if sample["error"] is None]
    if not has_unknown_tokens(good):
        found.output_tokens = sum(sample["output_tokens"] for sample in good)
    speeds = [
        speed
        for repeat, wall in sorted(walls.items())
        if (speed := _speed([sample for sample in good if sample["repeat"] == repeat], wall)) is not None
    ]
    if speeds:
        found.tokens_per_s = round(median(speeds), 3)
    if len(speeds) > 1:
        found.tokens_per_s_each = [round(speed, 3) for speed in speeds]
    if not is_whole:
        found.incomplete = True
    return found


def counted(rounds: Iterable[Round]) -> list[Round]:
    """Return the measured rounds that count for the speed: the complete ones, if there are any."""
    found = [one for one in rounds if one.seconds is not None]
    return [one for one in found if not one.incomplete] or found


def speeds_of(rounds: Iterable[Round]) -> list[float]:
    """Return the tokens per second of all repeats, in order."""
    return [
        speed
        for one in rounds
        if one.tokens_per_s is not None
        for speed in (one.tokens_per_s_each or [one.tokens_per_s])
    ]


def has_unknown_tokens(samples: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether any of these samples has an unknown number of output tokens."""
    return any(sample["output_tokens"] is None for sample in samples)


def _speed(samples: Sequence[Mapping[str, Any]], wall: float) -> float | None:
    if has_unknown_tokens(samples):
        return None
    tokens = sum(sample["output_tokens"] for sample in samples)
    return tokens / wall if tokens and wall > 0 else None
