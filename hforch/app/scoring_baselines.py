"""Which job of a sweep each job's distributions are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hforch.comparison.baselines import baseline_pairs, read_baseline
from hforch.comparison.entries import Entry
from hforch.errors import ConfigError, Mistake
from hforch.runs.planned_job import PlannedJob

ALONE = "no job differs from another in how its model is loaded alone, so none has a baseline"


def with_baselines(jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
    """The jobs, those that are scored on answers with the job whose answers these are, as `hforch compare` chooses it.

    Raises:
        ConfigError: there is no such job.
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
        hint = "sweep over model, backend, device, precision or ov_config, or choose scoring=text"
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
    """The jobs, those together that are scored in the same way."""
    found: dict[str, list[PlannedJob]] = {}
    for one in jobs:
        found.setdefault(one.job.scoring.model_dump_json(), []).append(one)
    return found.values()
