"""Compare a job's next-token distributions with its baseline's, for each text and over all texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Any

import numpy

from hforch.generation.completion import Decode
from hforch.records.evidence import EARLY
from hforch.records.measured import AgainstBaseline
from hforch.scoring.choices import Choices
from hforch.scoring.distributions import (
    Array,
    StoredDistributions,
    clustered,
    divergence,
    likeliest,
    normalizer,
    quantile,
)
from hforch.scoring.token_reading import ScoredPart, Text, rounded

WORST, SHOWN_TOKENS = 3, 5  # positions per sample that are stored in full, and tokens stored for each
BEFORE = 12  # preceding tokens that are stored with such a position, as text


@dataclass
class Compared:
    """A comparison of the distributions of a job and its baseline on one baseline answer.

    Attributes:
        start: the index of the answer's first position in the stored distributions.
        decode: converts token ids to text.
        choices: the tokens that the job chose; None if it does not choose the most likely ones.
    """

    text: Text
    start: int
    kept: StoredDistributions
    decode: Decode
    choices: Choices | None = None
    divergences: list[Array] = field(default_factory=list)
    agreed: list[Array] = field(default_factory=list)
    worst: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)

    def add(self, start: int, logits: Array) -> None:
        """Add positions from `start`; `logits` has the shape (positions, vocabulary)."""
        if self.choices:
            self.choices.add(start, logits)
        here = slice(self.start + start, self.start + start + len(logits))
        ids, reference = numpy.asarray(self.kept.ids[here]), numpy.asarray(self.kept.log_probabilities[here])
        log_normalizer = normalizer(logits)
        own = (numpy.take_along_axis(logits, ids, axis=1) - log_normalizer[:, None]).astype(numpy.float32)
        kl = divergence(reference, own, whole=ids.shape[1] == logits.shape[1])
        first = logits.argmax(axis=1)
        if not numpy.isfinite(kl).all():
            raise ValueError("KL divergence is infinite: a token with nonzero baseline probability has probability 0")
        self.divergences.append(kl)
        self.agreed.append(first == ids[:, 0])
        for at in numpy.argsort(-kl)[:WORST]:
            if len(self.worst) < WORST or kl[at] > self.worst[0][0]:
                entry = (float(kl[at]), start + int(at), self._both(start + int(at), at, logits, log_normalizer, here))
                (heappush if len(self.worst) < WORST else heappushpop)(self.worst, entry)

    def _both(self, position: int, at: int, logits: Array, log_normalizer: Array, here: slice) -> dict[str, Any]:
        own = likeliest(logits[at : at + 1], SHOWN_TOKENS)[0]
        theirs = self.kept.ids[here][at][:SHOWN_TOKENS]
        log_theirs = self.kept.log_probabilities[here][at][:SHOWN_TOKENS]
        pairs = zip(own, logits[at][own] - log_normalizer[at], strict=True)
        return {
            "position": position,
            "before": self.decode([*self.text.ids[max(0, position - BEFORE) : position]]),
            "read": self._token(self.text.ids[position]),
            "baseline": [self._token(*one) for one in zip(theirs, log_theirs, strict=True)],
            "job": [self._token(*one) for one in pairs],
        }

    def _token(self, token: int, log_probability: float | None = None) -> dict[str, Any]:
        told = {"id": int(token), "text": self.decode([int(token)])}
        return told if log_probability is None else told | {"log_probability": round(float(log_probability), 4)}

    @property
    def kl(self) -> Array:
        return numpy.concatenate(self.divergences)

    @property
    def agreement(self) -> Array:
        return numpy.concatenate(self.agreed)

    def record(self) -> dict[str, Any]:
        flips = numpy.flatnonzero(~self.agreement)
        contradiction = self.choices.record() if self.choices else None
        return {
            "input_id": self.text.id,
            "positions": len(self.text.ids),
            "kl_mean": round(float(self.kl.mean()), 6),
            "kl_max": round(float(self.kl.max()), 6),
            "flips": [int(one) for one in flips],
            **({"contradiction": contradiction} if contradiction else {}),
            "worst": [{"kl": round(kl, 6), **both} for kl, _, both in sorted(self.worst, key=lambda one: -one[0])],
        }


def summary(found: Sequence[Compared]) -> ScoredPart:
    """Return the metrics over all answers of a baseline."""
    kls, agreed = [one.kl for one in found], [one.agreement for one in found]
    kl, agreement, p99 = clustered(kls), clustered(agreed), quantile(kls, 0.99)
    early = [numpy.array([not one[:EARLY].all()]) for one in agreed]
    flips = clustered(early)
    metrics: dict[str, float | None] = {
        "kl_mean": kl.value,
        "kl_mean_se": kl.error,
        "kl_p99": p99.value,
        "kl_p99_se": p99.error,
        "kl_max": max(float(one.max()) for one in kls),
        "top1_agreement": agreement.value,
        "top1_agreement_se": agreement.error,
        "flips_early": flips.value,
        "flips_early_se": flips.error,
    }
    return ScoredPart(AgainstBaseline(texts=len(found), positions=sum(map(len, kls))), rounded(metrics))
