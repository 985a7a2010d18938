"""What a key of the configuration affects. The types say it: `schema.py` on a whole group or on
each of its keys, an option of a group (a backend, a tracker) on those of its own keys that affect something else.

loading: the loaded model.
outputs: what a loaded model answers.
samples: how many samples there are, and which of them pass.
timings: how answers are measured.
scores: what is read after the answers.
nothing: how a run is shown, and when it is refused or stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["loading", "outputs", "samples", "timings", "scores", "nothing"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LOAD_KEY: tuple[Kind, ...] = ("loading",)
"""What jobs that share a loaded model have in common."""

JOB_ID: tuple[Kind, ...] = ("loading", "outputs")
"""What jobs with the same outputs have in common."""

SAME_RUN: tuple[Kind, ...] = ("loading", "outputs", "samples", "timings", "scores")
"""What must be as it was when a run is resumed, and the same for one run to stand for two jobs."""

SAME_BASELINE: tuple[Kind, ...] = ("outputs", "samples")
"""What a job and its baseline have in common."""

TELLS_APART: tuple[Kind, ...] = ("loading", "outputs", "samples", "timings")
"""What tells compared jobs apart, and what `hforch verify` reports if it has changed."""


@dataclass(frozen=True)
class Affects:
    """An annotation of a group or a key: what its value affects."""

    kind: Kind


LOADING, OUTPUTS, SAMPLES = Affects("loading"), Affects("outputs"), Affects("samples")
TIMINGS, SCORES, NOTHING = Affects("timings"), Affects("scores"), Affects("nothing")


def others(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Return all the kinds but these."""
    return tuple(kind for kind in KINDS if kind not in kinds)
