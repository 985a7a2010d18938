"""Simulations of the decisions of `hforch compare`: how often they are wrong, and what they find."""

from __future__ import annotations

from collections.abc import Iterator

from bench.decisions import checks, coverage, null, power, stopping, streams, three_jobs
from bench.noise.series import load
from bench.scale import Scale
from bench.tables import Table

COMPARISONS, SIMULATIONS = 200, 1_000


def run(scale: Scale) -> Iterator[Table | str]:
    """Simulate comparisons, with fixed seeds; speeds are drawn from the recording of `python -m bench noise`."""
    recording = load()
    recorded, kept = streams.recorded(recording), streams.with_load_effect(recording)
    comparisons, simulations = scale.pick((COMPARISONS, SIMULATIONS), (3, 3))
    of_all = scale.pick([*recorded, *streams.modelled()], recorded[:1])
    yield f"noise recorded on {recording.recorded}, on {recording.machine}"
    yield null.table(of_all, comparisons, f"Two equal jobs in turns: share of {comparisons} that names a winner")
    yield null.table(
        scale.pick(kept, kept[:1]),
        comparisons,
        "The same, with loads that differ as recorded, and are kept loaded in all rounds",
    )
    yield power.table(of_all, comparisons)
    yield stopping.until_decided(of_all, comparisons)
    yield stopping.after_rounds(of_all, comparisons)
    yield three_jobs.table(of_all, comparisons)
    yield checks.table(comparisons)
    yield coverage.of_rounds(of_all, simulations)
    yield coverage.of_inputs(simulations)
