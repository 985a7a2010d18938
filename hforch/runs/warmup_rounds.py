"""Decide when a warm-up ends: successive rounds agree, or a limit is reached. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

STEPS = 8
"""Decode steps per round."""
TOLERANCE = 0.1
"""Two rounds agree if neither their prefill times nor their step times differ by more than this fraction."""
AGREEMENTS = 2
"""Consecutive agreements that end a warm-up. A single one may be two slow rounds."""
FEWEST, FEWEST_ON_CPU, MOST = 2, 1, 12
"""Minimum (with an accelerator, on a CPU) and maximum number of rounds, unless a round fails. On a CPU nothing is
compiled or selected in the first calls, so one round may be enough."""
SHARE = 0.1
"""Rounds beyond the minimum take at most this fraction of the expected duration of the job; FALLING and CHEAP_S define
an exception."""
FALLING, CHEAP_S = 1.5, 2.0
"""The limit SHARE does not apply while the last round was still much faster than the previous one (a timing fell by
more than the factor FALLING) and a full round takes at most CHEAP_S seconds."""
LONGEST_S = 120.0
"""Limit of the total duration, in seconds: no round starts that is expected to exceed it."""

EndedBy = Literal["agreement", "share", "seconds", "rounds"]


@dataclass(frozen=True)
class Round:
    """The timings of one short generation, in seconds.

    Attributes:
        wall_s: duration of the whole call.
        prefill_s: time until each prompt of the batch had its first token; None if tokens are not timed (beam search).
        step_s: duration of one decode step; None if tokens are not timed, or for answers of a single token.
        tokens: tokens per answer.
    """

    wall_s: float
    prefill_s: float | None = None
    step_s: float | None = None
    tokens: int = 1 + STEPS

    @property
    def next_s(self) -> float:
        """The expected duration of a round of full length."""
        return self.wall_s + (1 + STEPS - self.tokens) * (self.step_s or self.wall_s / self.tokens)

    def expected_s(self, tokens: int, batches: int) -> float:
        """Return the seconds that batches with answers of `tokens` tokens would take at the speed of this round."""
        if self.prefill_s is None:
            return batches * self.wall_s * max(tokens / self.tokens, 1.0)
        return batches * (self.prefill_s + (tokens - 1) * (self.step_s or 0.0))


def deviation(one: Round, other: Round) -> float:
    """Return the larger of the relative differences of two rounds' prefill and step times.

    If tokens are not timed, return the relative difference of the wall times. Differences are relative to the faster
    round.
    """
    return max((abs(a - b) / min(a, b) if min(a, b) > 0 else float(a != b)) for a, b in _pairs(one, other))


def _pairs(one: Round, other: Round) -> list[tuple[float, float]]:
    """Return pairs of the timings that both rounds have."""
    pairs = [(one.prefill_s, other.prefill_s), (one.step_s, other.step_s)]
    return [(a, b) for a, b in pairs if a is not None and b is not None] or [(one.wall_s, other.wall_s)]


def is_steady(rounds: Sequence[Round]) -> bool:
    """Return whether the last two rounds agree."""
    return len(rounds) > 1 and deviation(*rounds[-2:]) <= TOLERANCE


def ended_by(rounds: Sequence[Round], expected_s: float, fewest: int = FEWEST) -> EndedBy | None:
    """Return why a warm-up ends after these rounds, or None if it continues.

    Args:
        rounds: all rounds so far, in order.
        expected_s: the expected duration of the job itself, in seconds.
        fewest: the minimum number of rounds.
    """
    if len(rounds) < fewest:
        return None
    last = rounds[-1].next_s
    if len(rounds) > AGREEMENTS and all(is_steady(rounds[: len(rounds) - back]) for back in range(AGREEMENTS)):
        return "agreement"
    if len(rounds) >= MOST:
        return "rounds"
    if sum(each.wall_s for each in rounds) + last > LONGEST_S:
        return "seconds"
    is_falling = last <= CHEAP_S and _are_falling(rounds)
    if not is_falling and sum(each.wall_s for each in rounds[fewest:]) + last > SHARE * expected_s:
        return "share"
    return None


def _are_falling(rounds: Sequence[Round]) -> bool:
    return len(rounds) > 1 and any(before > FALLING * now for before, now in _pairs(*rounds[-2:]))
