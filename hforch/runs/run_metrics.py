"""Add measurements to the record of a job: memory, energy, and metrics computed from other metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from hforch.backends.base import LoadedModel, capabilities
from hforch.errors import Mistake
from hforch.machine.nvidia_meter import CardReadings
from hforch.metrics.computing import computed
from hforch.metrics.metric import Measured
from hforch.metrics.registry import COMPARED
from hforch.records.evidence import Evidence, scores_of
from hforch.records.intervals import estimates
from hforch.records.machine import CardUse, Memory
from hforch.records.measured import MetricInterval, Metrics
from hforch.runs import energy
from hforch.runs.memory_meter import MemoryMeter, merged_peaks
from hforch.runs.run_state import Run
from hforch.runs.sample_metrics import count
from hforch.statistics.estimates import Estimate


def memory_of(run: Run, memory: MemoryMeter, loaded: LoadedModel | None) -> Memory:
    """Return the job's memory peaks; they include loading the model, even if an earlier job of the sweep loaded it."""
    if reason := capabilities(run.job).lacks.get("memory"):  # the model is not in this process
        return Memory(absent=dict.fromkeys(("peak_rss_mb", "peak_accelerator_mb"), reason))
    peaks = merged_peaks(memory.peaks(), run.model_slot.memory or {})
    if devices := peaks.get("accelerators"):
        return Memory(**peaks | {"peak_accelerator_mb": round(sum(one["allocated_mb"] for one in devices), 1)})
    reason = "no accelerator with memory statistics was used" if loaded else "no model was loaded"
    return Memory(**{**peaks, "absent": {**peaks.get("absent", {}), "peak_accelerator_mb": reason}})


def note_computed(run: Run, folder: Path | None) -> None:
    """Add the metrics that are computed from other metrics, if anything was measured."""
    if run.energy is not None:
        _add_metrics(run, computed(Measured(run.whole(), run.samples, folder)))


def _add_metrics(run: Run, found: Mapping[str, Any]) -> None:
    """Add metrics to the record.

    Args:
        run: the run.
        found: values by name; `absent` has the reasons for missing ones.
    """
    known = run.record.metrics.dump() if run.record.metrics else {}
    run.record.metrics = Metrics(**{**known, **found, "absent": {**known.get("absent", {}), **found["absent"]}})


def note_intervals(run: Run) -> None:
    """Add to the record the interval of each metric, as far as the job's own inputs and rounds determine it."""
    record = run.whole()
    evidence = Evidence(run.job.runtime.repeat)
    for sample in run.samples:
        evidence.add(sample)
    evidence.finish(record, run.writer.directory)
    metrics = {metric.name: metric.read(record) for metric in COMPARED}
    metrics |= {metric.error_name: metric.read_error(record) for metric in COMPARED if metric.has_error}
    checks = (record.get("totals") or {}).get("checks")
    if checks and checks["total"]:
        metrics["checks"] = checks["passed"] / checks["total"]
    is_baseline = scores_of(record, "against_baseline").get("baseline") == "."
    found = estimates(metrics, evidence, is_baseline=is_baseline)
    run.record.intervals = {name: _interval(one) for name, one in found.items()}


def _interval(estimate: Estimate) -> MetricInterval:
    one = estimate.interval
    if one is None:
        return MetricInterval(absent=estimate.why)
    low, high = (round(end, 6) if isfinite(end) else None for end in (one.low, one.high))
    return MetricInterval(low=low, high=high, confidence=one.confidence, method=one.method, units=one.units)


def note_energy(run: Run) -> None:
    """Add to the record the energy, the GPUs, and whether the GPUs were shared, if anything was measured."""
    if run.energy is None:
        return
    tokens = count(run.samples[run.kept :]).output_tokens
    found = run.energy.metrics(tokens, is_whole=run.continues or not run.kept)
    if run.before and run.continues:
        found = energy.added_up(run.before.record.get("metrics") or {}, found, count(run.samples).output_tokens)
    if reason := capabilities(run.job).lacks.get("memory"):  # the model runs elsewhere, so its energy is unknown
        found = {"absent": dict.fromkeys(energy.NAMES, reason)}
    _add_metrics(run, found)
    readings = run.energy.gpus
    if readings.gpus:
        run.record.accelerators = [CardUse(**one) for one in readings.gpus]
    before = run.before.record.get("shared_accelerator") if run.before and run.kept else None
    if shared := readings.shared or before:
        run.record.shared_accelerator = shared


def card_remarks(cards: CardReadings) -> Iterator[Mistake]:
    """Yield warnings about a job's GPUs: reduced clocks, and use by other processes."""
    for device, reasons in cards.slowed.items():
        problem = f"{device} reduced its clocks during the measurement: {', '.join(reasons)}"
        yield Mistake("", problem, None, "check its cooling and power supply, then measure again")
    if cards.shared:
        hint = "the job is not ranked by speed or energy; run it again when the GPU is free"
        yield Mistake("", cards.shared, None, hint)
