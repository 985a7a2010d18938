"""The registry of load profiles. Jobs cannot select one, because only one exists."""

from __future__ import annotations

from functools import cache

from hforch import load_profiles
from hforch.config.schema import Job
from hforch.load_profiles.base import LoadProfile
from hforch.utils.entries import load_entry, names_of

OF_ALL_JOBS = "offline"


@cache
def all_profiles() -> dict[str, LoadProfile]:
    """Return the profiles by name."""
    return {name: load_entry(load_profiles, name, "PROFILE") for name in names_of(load_profiles)}


def profile_of(job: Job) -> LoadProfile:
    """Return the load profile of a job."""
    return all_profiles()[OF_ALL_JOBS]
