"""The registry of trackers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hforch import trackers
from hforch.errors import Mistake
from hforch.trackers.base import Tracker, TrackerOptions
from hforch.utils.entries import load_entry, names_of
from hforch.utils.strict_model import union_of

TRACKERS: Mapping[str, type[Tracker]] = {name: load_entry(trackers, name, "TRACKER") for name in names_of(trackers)}
"""The class of each tracker, by name."""

if TYPE_CHECKING:
    AnyOptions = TrackerOptions
else:
    AnyOptions = union_of([tracker.Options for tracker in TRACKERS.values()], "kind")


def mistakes(options: TrackerOptions) -> list[Mistake]:
    """Return the errors of a job's tracker options on this machine."""
    return list(TRACKERS[options.kind].mistakes(options))
