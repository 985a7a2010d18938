"""Measure how a job's outputs differ from a baseline's, sample by sample, joined by input id and repeat."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any
from zlib import crc32

from hforch.comparison.entries import Entry, samples_of
from hforch.comparison.text_similarity import TextSimilarity
from hforch.statistics.units import Units
from hforch.utils.sequences import first_diff

PAIRS = 1000  # maximum number of inputs whose texts are compared; the same inputs for all jobs
RESIDUES = 1_000_003
Key = tuple[str, int]


@dataclass(frozen=True)
class Output:
    """An answer of the baseline.

    Attributes:
        ids: its packed token ids.
        text: None if only the hash is needed.
        prompt_hash: hash of the rendered prompt; None if unknown.
        prompt_ids_hash: hash of its token ids; None if unknown.
    """

    ids: bytes
    text_hash: int
    text: str | None
    prompt_hash: int | None
    prompt_ids_hash: int | None

    def has_other_prompt_ids(self, sample: Mapping[str, Any]) -> bool:
        """Return whether the same prompt has different token ids in a sample."""
        prompt, ids = _prompt_hashes(sample)
        return None not in (ids, self.prompt_ids_hash) and prompt == self.prompt_hash and ids != self.prompt_ids_hash


@dataclass
class Baseline:
    """The answers of a baseline by input id and repeat, without failed samples."""

    entry: Entry
    chosen: Chosen
    outputs: dict[Key, Output] = field(default_factory=dict)

    def add(self, sample: Mapping[str, Any], by_text: bool) -> None:
        if sample["error"] is None:
            key = (sample["input_id"], sample["repeat"])
            text = sample["text"] if by_text or key[0] in self.chosen else None
            self.outputs[key] = Output(pack(sample["output_ids"]), hash(sample["text"]), text, *_prompt_hashes(sample))


class Chosen:
    """The inputs whose texts are compared: all, or about PAIRS of them, selected by a hash of their ids."""

    def __init__(self, inputs: int) -> None:
        self.share = min(1.0, PAIRS / max(inputs, 1))

    def __contains__(self, input_id: str) -> bool:
        return self.share >= 1.0 or crc32(input_id.encode()) % RESIDUES < self.share * RESIDUES


def _prompt_hashes(sample: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return hashes of a sample's prompt and of its token ids, None for what is unknown."""
    prompt, ids = sample.get("prompt"), sample.get("prompt_ids")
    return None if prompt is None else hash(prompt), None if ids is None else hash(tuple(ids))


def pack(ids: Sequence[int] | None) -> bytes:
    return array("q", ids or []).tobytes()


@dataclass(frozen=True)
class Pair:
    """Two different answers to one input.

    Attributes:
        at: index of the first difference, in tokens or characters.
        share: `at` as a fraction of the longer answer.
    """

    input_id: str
    item: Any
    repeat: int
    at: int
    share: float
    baseline: str
    text: str


@dataclass
class Drift:
    """The differences between the outputs of a job and of its baseline, as defined in docs/metrics.md.

    Attributes:
        unit: the unit of `first_diff`: tokens, or characters if token ids are not comparable.
        places: the positions of inputs in `units`, shared with other jobs.
        joined: the number of samples that succeeded in both jobs.
        other_prompt_ids: the number of those whose prompt is the same but has different token ids; counted if the
            weights are the same.
    """

    baseline: str
    unit: str
    worst_wanted: int
    chosen: Chosen
    places: dict[str, int] = field(default_factory=dict)
    joined: int = 0
    exact: int = 0
    missing: int = 0
    other_prompt_ids: int = 0
    at: list[int] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    pair_ids: list[str] = field(default_factory=list)
    exact_by_input: Units = field(init=False)
    _worst: list[tuple[float, int, Mapping[str, Any], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exact_by_input = Units(self.places)

    def add(self, sample: Mapping[str, Any], base: Output) -> None:
        """Compare one sample with the baseline's."""
        self.joined += 1
        self.other_prompt_ids += self.unit == "tokens" and base.has_other_prompt_ids(sample)
        text = sample["text"]
        if base.text is not None and sample["input_id"] in self.chosen:
            self.pairs.append((base.text, text))
            self.pair_ids.append(sample["input_id"])
        is_exact = hash(text) == base.text_hash
        self.exact_by_input.add(sample["input_id"], float(is_exact))
        if is_exact:
            self.exact += 1
            return
        if self.unit == "tokens":
            ids, other = array("q", sample["output_ids"] or []), array("q")
            other.frombytes(base.ids)
            place, length = first_diff(ids, other), max(len(ids), len(other), 1)
        else:
            place, length = first_diff(text, base.text or ""), max(len(text), len(base.text or ""), 1)
        self.at.append(place)
        self.shares.append(place / length)
        key = (sample["input_id"], text)
        if any((other["input_id"], other["text"]) == key for _, _, other, _ in self._worst):
            return  # the same answer in another repeat or round
        entry = (-place / length, len(self.at), sample, place)
        if len(self._worst) < self.worst_wanted:
            heapq.heappush(self._worst, entry)
        elif self._worst and entry > self._worst[0]:
            heapq.heapreplace(self._worst, entry)

    def worst(self, baseline: Entry) -> list[Pair]:
        """Return the samples that differ earliest, with the texts of both jobs."""
        chosen = {(one["input_id"], one["repeat"]): (share, one, at) for share, _, one, at in self._worst}
        pairs = []
        for sample in samples_of(baseline) if chosen else ():
            key = (sample["input_id"], sample["repeat"])
            if key in chosen and sample["error"] is None:
                share, other, at = chosen[key]
                pairs.append(Pair(key[0], other["input"], key[1], at, abs(share), sample["text"], other["text"]))
        return sorted(pairs, key=lambda pair: (pair.share, pair.input_id))

    def metrics(self) -> dict[str, float | None]:
        """Return exact_match, first_diff and first_diff_share (medians over samples that differ), chrf, similarity."""
        if not self.joined:
            return {}
        return {
            "exact_match": self.exact / self.joined,
            "first_diff": float(median(self.at)) if self.at else None,
            "first_diff_share": round(median(self.shares), 4) if self.shares else None,
            **self._alike.metrics,
        }

    def units(self) -> dict[str, Units]:
        """Return the contribution of each input to exact_match, chrf and similarity."""
        if not self.joined:
            return {}
        return {"exact_match": self.exact_by_input, **self._alike.by_input(self.pair_ids, self.places)}

    @cached_property
    def _alike(self) -> TextSimilarity:
        return TextSimilarity(self.pairs)
