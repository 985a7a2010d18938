"""Compare the tokens that a greedy job chose with the logits from which its scores are computed.

If the reader of logits computes a model like the job's engine, each chosen token is the most likely one, except where
rounding changes the order of two almost equally likely tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hforch.utils.sequences import first_diff

if TYPE_CHECKING:  # numpy is only needed to score, not to report
    from hforch.scoring.distributions import Array

SHARE = 0.3  # of the logits' standard deviation: rounding does not change the order of tokens that differ by more
LIMITS = (
    "max_new_tokens",
    "max_length",
    "context_length",
    "eos_token_id",
    "stop_token_ids",
    "pad_token_id",
    "ignore_eos",
)


def is_greedy(decoding: Mapping[str, Any]) -> bool:
    """Return whether a job chose the most likely token in each step: greedy, and without settings that change logits.

    Args:
        decoding: the effective decoding settings.
    """
    return all(
        value is not True and value in (None, False, 0, 1) for name, value in decoding.items() if name not in LIMITS
    )


def contradiction(answers: int) -> str:
    """Return a warning that a number of answers contradict the scores."""
    return (
        f"{answers} {'answer contradicts' if answers == 1 else 'answers contradict'} the scores: according to the"
        " logits from which scores are computed, a chosen token is much less likely than another, so the library"
        " computed other logits when it answered, and its answers may be wrong; try runtime.batch_size=1"
    )


@dataclass
class Choices:
    """The tokens that a job chose after the same text as the one that is read.

    Attributes:
        ids: the job's answer.
        number: how many of its tokens are compared: all up to and including the first that differs from the text.
        position: index of the first token that contradicts the logits; None without one.
        margin: the difference between its logit and the highest one.
    """

    ids: Sequence[int]
    number: int
    position: int | None = None
    margin: float = 0.0

    @classmethod
    def of(cls, ids: Sequence[int], text: Sequence[int]) -> Choices:
        """Return the choices of a job whose answer is `ids`, while `text` is read."""
        return cls(ids, min(first_diff(ids, text) + 1, len(ids), len(text)))

    def add(self, start: int, logits: Array) -> None:
        """Compare the tokens from `start`; `logits` has the shape (positions, vocabulary)."""
        import numpy

        ids = numpy.asarray(self.ids[start : min(self.number, start + len(logits))], dtype=numpy.int64)
        if self.position is not None or not len(ids):
            return
        rows = logits[: len(ids)]
        margins = rows.max(axis=1) - rows[numpy.arange(len(ids)), ids]
        for at in numpy.flatnonzero(margins > 0):
            finite = rows[at][numpy.isfinite(rows[at])]
            if not margins[at] <= SHARE * finite.std():
                self.position, self.margin = start + int(at), float(margins[at])
                return

    def record(self) -> dict[str, Any] | None:
        """Return the token that contradicts the logits, for the scores of the answer."""
        if self.position is None:
            return None
        return {"position": self.position, "id": int(self.ids[self.position]), "margin": round(self.margin, 4)}
