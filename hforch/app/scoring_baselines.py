"""Choose the baseline that each job of a sweep is scored against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hforch.comparison.baselines import baseline_pairs, read_baseline
from hforch.comparison.entries import Entry
from hforch.errors import ConfigError, Mistake
from hforch.runs.planned_job import PlannedJob

ALONE = "no baseline: no two jobs differ only in how the model is loaded"


def with_baselines(jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
    """Return the jobs, after setting the baseline of each scored job; `hforch compare` chooses the same baselines.

    Raises:
        ConfigError: no job matches scoring.baseline.of, or no job has a baseline.
    """
    scored = [one for one in jobs if one.job.scoring.baseline is not None]
    partners: dict[str, Entry | None] = {}
    for asked in _by_scoring(scored):
        kept = asked[0].job.scoring.baseline
        entries = [Entry(str(one.number), one.directory, one.record(), one.directory) for one in asked]
        try:
            partners |= baseline_pairs(entries, read_baseline(kept.of if kept else None))
        except ConfigError as error:
            told = [replace(one, path="scoring.baseline.of", where=None) for one in error.mistakes]
            raise ConfigError(asked[0].job_context.locate(told)) from error
    if not any(partners.values()):
        hint = "sweep over model, backend, device, precision or ov_config, or set scoring=text"
        raise ConfigError(scored[0].job_context.locate([Mistake("scoring.baseline", ALONE, None, hint)]))
    numbered = {str(one.number): one for one in jobs}
    found = []
    for one in jobs:
        partner = partners.get(str(one.number))
        if partner is None:
            found.append(one)
            continue
        other = numbered[partner.name]
        source = other if other.same_as is None else numbered[str(other.same_as)]
        given = replace(one.job_context, baseline=source.directory)
        found.append(replace(one, baseline=source.number, job_context=given))
    return found


def _by_scoring(jobs: Iterable[PlannedJob]) -> Iterable[list[PlannedJob]]:
    """Group the jobs by their scoring settings."""
    found: dict[str, list[PlannedJob]] = {}
    for one in jobs:
        found.setdefault(one.job.scoring.model_dump_json(), []).append(one)
    return found.values()
