"""Annotations that state what a key of the configuration affects.

`schema.py` annotates a whole group or each of its keys; the options of a backend or a tracker annotate only the keys
whose effect differs from that of their group.

loading: the loaded model.
outputs: the answers of a loaded model.
samples: the number of samples, and which of them pass their checks.
timings: how the answers are measured.
scores: the scoring after generation.
nothing: how a run is displayed, whether it is rejected, and when it stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["loading", "outputs", "samples", "timings", "scores", "nothing"]
KINDS: tuple[Kind, ...] = get_args(Kind)

LOAD_KEY: tuple[Kind, ...] = ("loading",)
"""Jobs that share a loaded model have equal values of all keys that affect these."""

JOB_ID: tuple[Kind, ...] = ("loading", "outputs")
"""Jobs with the same outputs have equal values of all keys that affect these."""

SAME_RUN: tuple[Kind, ...] = ("loading", "outputs", "samples", "timings", "scores")
"""Values of keys that affect these must be unchanged when a run is resumed; one run suffices for two jobs that have
them in common."""

SAME_BASELINE: tuple[Kind, ...] = ("outputs", "samples")
"""A job and its baseline have equal values of all keys that affect these."""

TELLS_APART: tuple[Kind, ...] = ("loading", "outputs", "samples", "timings")
"""Values of keys that affect these distinguish compared jobs; `hforch verify` reports changes of them."""


@dataclass(frozen=True)
class Affects:
    """An annotation of a group or a key that states what its value affects."""

    kind: Kind


LOADING, OUTPUTS, SAMPLES = Affects("loading"), Affects("outputs"), Affects("samples")
TIMINGS, SCORES, NOTHING = Affects("timings"), Affects("scores"), Affects("nothing")


def others(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Return all kinds that are not in `kinds`."""
    return tuple(kind for kind in KINDS if kind not in kinds)
