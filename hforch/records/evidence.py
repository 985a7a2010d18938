"""Collect what each input and each round contributes to the metrics of a job, so that jobs can be paired by them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hforch.metrics.aggregation import Timings
from hforch.metrics.registry import COMPARED
from hforch.records.record_files import SCORES
from hforch.statistics.units import Units
from hforch.utils.datafiles import lines_of, parse_line
from hforch.utils.paths import open_file

EARLY = 16  # the first positions of an answer, which flips_early covers
Rounds = list[float | None]


@dataclass
class Evidence:
    """The contributions to the metrics of one job.

    Attributes:
        repeats: the number of repeats in each round.
        places: the positions of inputs in `units`, shared with other jobs.
        units: for each quality metric that is a ratio of sums, the contributions of inputs or windows.
        rounds: for each speed metric, its value in each round; None where a round has none.
    """

    repeats: int = 1
    places: dict[str, int] = field(default_factory=dict)
    units: dict[str, Units] = field(default_factory=dict)
    rounds: dict[str, Rounds] = field(default_factory=dict)
    _timings: dict[int, Timings] = field(default_factory=dict)

    def add(self, sample: Mapping[str, Any]) -> None:
        """Add a sample: its checks, and its timings if it succeeded."""
        if checks := sample.get("checks"):
            units = self.units.setdefault("checks", Units(self.places))
            units.add(sample["input_id"], sum(one["passed"] for one in checks), len(checks))
        if sample["error"] is None:
            self._timings.setdefault(sample["repeat"] // self.repeats, Timings()).add(sample)

    def finish(self, record: Mapping[str, Any], folder: Path) -> None:
        """Add what the record of a job and its scores.jsonl contain.

        Args:
            folder: the directory with its samples and scores.
        """
        self._add_rounds(record)
        for metric, units in (*_scored(folder, self.places), *_windows(record, self.places)):
            self.units[metric] = units

    def _add_rounds(self, record: Mapping[str, Any]) -> None:
        count = 1 + max(self._timings, default=0)
        for metric in COMPARED:
            if metric.timing:
                each = (self._timings.get(number) for number in range(count))
                self.rounds[metric.name] = [one.aggregate(metric) if one else None for one in each]
        self._timings.clear()
        measured = record.get("rounds") or []
        if measured:
            has_complete = not all(one.get("incomplete") for one in measured)
            self.rounds["tokens_per_s"] = [
                None if one.get("incomplete") and has_complete else one.get("tokens_per_s") for one in measured
            ]


def scores_of(record: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Return the part `against_baseline` or `on_text` of a job's recorded scores."""
    return (record.get("scores") or {}).get(part) or {}


def _scored(folder: Path, places: dict[str, int]) -> Iterator[tuple[str, Units]]:
    """Yield the metrics of scores.jsonl, by answer of the baseline; nothing if the file is missing or damaged."""
    kl, agreement, early = Units(places), Units(places), Units(places)
    with suppress(OSError, ValueError, KeyError, TypeError), open_file(folder / SCORES) as file:
        for line in lines_of(file):
            one = parse_line(line)
            unit, positions, flips = str(one["input_id"]), int(one["positions"]), one["flips"]
            kl.add(unit, float(one["kl_mean"]) * positions, positions)
            agreement.add(unit, positions - len(flips), positions)
            early.add(unit, float(any(at < EARLY for at in flips)))
        yield from (("kl_mean", kl), ("top1_agreement", agreement), ("flips_early", early)) if len(kl) else ()


def _windows(record: Mapping[str, Any], places: dict[str, int]) -> Iterator[tuple[str, Units]]:
    """Yield the mean negative log-likelihood in nats per token, and bits per byte, by window of the scored text.

    Windows of different texts or tokenizers have different ids, so that they are not paired.
    """
    text = scores_of(record, "on_text")
    windows: Sequence[Sequence[float]] = text.get("windows") or ()
    tokens = math.fsum(number for number, _ in windows)
    if not tokens:
        return
    nats, bits = Units(places), Units(places)
    for at, (number, total) in enumerate(windows):
        unit = f"{text.get('sha256')} {at} {number:g}"
        nats.add(unit, total, number)
        bits.add(unit, total / math.log(2), number * (text.get("bytes") or 0) / tokens)
    yield "ppl", nats
    if text.get("bytes"):
        yield "bits_per_byte", bits
