"""`tracker=none`: results are stored only in the records."""

from __future__ import annotations

from typing import Literal

from hforch.trackers.base import Tracker, TrackerOptions


class NoneOptions(TrackerOptions):
    kind: Literal["none"]


class NoTracker(Tracker):
    Options = NoneOptions
    gets_results = False


TRACKER = NoTracker
