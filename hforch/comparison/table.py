"""Build the rows of a comparison, one per job, with the differing settings, metrics and notes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Any

from hforch.comparison.axes import axes_of
from hforch.comparison.baselines import baseline_pairs
from hforch.comparison.divergent_tokens import divergent_tokens
from hforch.comparison.drift import Baseline, Chosen, Drift
from hforch.comparison.entries import Entry
from hforch.comparison.evidence import Evidence, scores_of
from hforch.comparison.intervals import CONFIDENCE, drifts_of, estimates_of
from hforch.comparison.notes import notes_of_row, notes_of_rows
from hforch.comparison.rows import WITH_BASELINE, Row, number_of_inputs
from hforch.errors import ConfigError, Mistake
from hforch.metrics.aggregation import Timings
from hforch.metrics.registry import AGAINST_BASELINE, COMPARED
from hforch.records.sample_lines import Samples, has_failed
from hforch.scoring.uncertainty import ratio_of_sums

QUANTILES = (5, 25, 50, 75, 95)  # the percentiles of each timing that charts show
ERRORS = tuple(metric.error_name for metric in COMPARED if metric.has_error)


@dataclass(frozen=True)
class Comparison:
    """The rows of a comparison, and notes on all of them.

    Attributes:
        confidence: the confidence level of intervals.
        drifts: for each model that was loaded, ln(second / first duration of its first batch).
    """

    rows: list[Row]
    notes: list[str]
    confidence: float = CONFIDENCE
    drifts: Sequence[float] = ()

    @property
    def axes(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row.axes))


def compare(
    entries: Sequence[Entry],
    baseline: Mapping[str, str] | None = None,
    worst: int = 3,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare jobs.

    Args:
        baseline: values of load settings that select the baseline jobs; None: the most precise of the jobs that differ
            only in the load key.
        worst: the number of samples, and of token positions, with the largest differences that each row stores.
        confidence: the confidence level of intervals, between 0 and 1.

    Raises:
        ConfigError: no job matches the baseline, a job has no baseline, or samples are damaged.
    """
    partners = baseline_pairs(entries, baseline)
    axes = axes_of(entries)
    rows: dict[str, Row] = {}
    by_base: dict[str | None, list[Entry]] = {}
    for entry in entries:
        base = partners[entry.name]
        by_base.setdefault(base.name if base else None, []).append(entry)
    named = {entry.name: entry for entry in entries}
    mistakes: list[Mistake] = []
    places: dict[str, int] = {}
    for name, group in by_base.items():
        kept = _keep(named[name], group) if name else None
        for entry in group:
            try:
                rows[entry.name] = _row(entry, axes[entry.name], kept, worst, places)
            except ConfigError as error:
                mistakes += error.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    ordered = [rows[entry.name] for entry in entries]
    for row in ordered:
        _add_ratio(row, rows)
    drifts = drifts_of(entries)
    for row in ordered:
        row.estimates = estimates_of(row, drifts, confidence)
    return Comparison(ordered, notes_of_rows(ordered), confidence, drifts)


# ---------------------------------------------------------------- one job
def _keep(base: Entry, group: Iterable[Entry]) -> Baseline:
    by_text = any(_unit(base, entry) == "characters" for entry in group)
    kept = Baseline(base, Chosen(number_of_inputs(base.record)))
    for sample in Samples(base.samples, base.record):  # damaged lines are reported in the row of the baseline
        kept.add(sample, by_text)
    return kept


def _unit(one: Entry, other: Entry) -> str:
    """Return "tokens" if token ids are comparable because two jobs have the same weights, else "characters"."""
    mine, its = ((entry.record.get("model") or {}).get("fingerprint") for entry in (one, other))
    has_ids = all("token_ids" not in (entry.record.get("absent") or {}) for entry in (one, other))
    return "tokens" if has_ids and mine is not None and mine == its else "characters"


def _row(entry: Entry, axes: dict[str, str], base: Baseline | None, worst: int, places: dict[str, int]) -> Row:
    record = entry.record
    timings, evidence = Timings(), Evidence(max(1, int(entry.get("runtime.repeat") or 1)), places)
    failed = seen = answered = 0
    drift = Drift(base.entry.name, _unit(base.entry, entry), worst, base.chosen, places) if base else None
    own = base is not None and base.entry.name == entry.name
    samples = Samples(entry.samples, entry.record)
    for sample in samples:
        seen += 1
        evidence.add(sample)
        if sample["error"] is not None:
            failed += has_failed(sample)
            continue
        answered += 1
        timings.add(sample)
        if drift and base and not own:
            output = base.outputs.get((sample["input_id"], sample["repeat"]))
            if output is None:
                drift.missing += 1
            else:
                drift.add(sample, output)
    if not entry.skips_damaged:
        samples.refuse()
    metrics = _metrics(record, timings, failed)
    evidence.finish(entry)
    row = Row(entry, axes, metrics, _site(record), timings.quantiles(QUANTILES), _spread(record), evidence)
    row.unit = drift.unit if drift else "tokens"
    checks = (record.get("totals") or {}).get("checks")
    if checks and checks["total"]:
        row.checks = checks["passed"], checks["total"]
        metrics["checks"] = checks["passed"] / checks["total"]
    if drift and base and not own:
        row.baseline = base.entry.name
        metrics |= drift.metrics()
        evidence.units |= drift.units()
        if drift.other_prompt_ids:
            row.incomparable = (
                f"{drift.other_prompt_ids} of {drift.joined} prompts {'has' if drift.other_prompt_ids == 1 else 'have'}"
                " different token ids in the baseline, so outputs and scores cannot be compared"
            )
            metrics |= dict.fromkeys(WITH_BASELINE)
            metrics |= dict.fromkeys(one.error_name for one in AGAINST_BASELINE if one.has_error)
        row.worst = drift.worst(base.entry)
    elif own and answered:
        metrics |= {
            metric.name: metric.value_for_baseline
            for metric in COMPARED
            if metric.section is None and metric.value_for_baseline is not None
        }
    broken: list[int] = []
    row.divergent_tokens = divergent_tokens(entry, worst, broken)
    row.notes = [*notes_of_row(entry, own, drift, seen), *samples.notices()]
    if row.incomparable:
        row.notes.append(row.incomparable)
    if broken:
        row.notes.append(f"scores.jsonl is damaged: {len(broken)} unreadable line{'s' * (len(broken) > 1)}")
    other = _scored_against(entry)
    if base and other not in (None, Path(realpath(base.entry.samples))):
        metrics |= dict.fromkeys(one.name for one in AGAINST_BASELINE)
        metrics |= dict.fromkeys(one.error_name for one in AGAINST_BASELINE if one.has_error)
        row.divergent_tokens = []
        other_name = f"{other.parent.name}/{other.name}" if other else ""
        row.notes.append(f"KL divergence and flips omitted: computed against a different baseline ({other_name})")
    return row


def _add_ratio(row: Row, rows: Mapping[str, Row]) -> None:
    """Add the ratio of the perplexities of a job and its baseline, if both scored the same tokens."""
    base = rows.get(row.baseline) if row.baseline else row if "baseline" in row.notes else None
    if base is None:
        return
    own, theirs = scores_of(row.entry, "on_text"), scores_of(base.entry, "on_text")
    if not own.get("windows") or not theirs.get("windows") or own.get("sha256") != theirs.get("sha256"):
        return
    if [tokens for tokens, _ in own["windows"]] != [tokens for tokens, _ in theirs["windows"]]:
        return
    pairs = zip(own["windows"], theirs["windows"], strict=True)
    more = ratio_of_sums([nats - its for (_, nats), (_, its) in pairs], [tokens for tokens, _ in own["windows"]])
    ratio = math.exp(more.value)
    row.metrics["ppl_ratio"] = round(ratio, 6)
    row.metrics["ppl_ratio_se"] = None if more.error is None else round(ratio * more.error, 6)


def _scored_against(entry: Entry) -> Path | None:
    """Return the directory of the baseline that a job was scored against, or None."""
    baseline = scores_of(entry, "against_baseline").get("baseline")
    return Path(realpath(entry.samples / baseline)) if baseline else None


def _metrics(record: Mapping[str, Any], timings: Timings, failed: int) -> dict[str, float | None]:
    """Return the metrics in the record; compute timings that an older record lacks."""
    known: dict[str, float | None] = dict.fromkeys((*(metric.name for metric in COMPARED), *ERRORS))
    for metric in COMPARED:
        value = metric.read(record)
        known[metric.name] = timings.aggregate(metric) if value is None and metric.timing else value
        if metric.has_error:
            known[metric.error_name] = metric.read_error(record)
    return known | {"failed": float(failed)}


def _spread(record: Mapping[str, Any]) -> tuple[float, float] | None:
    each = (record.get("metrics") or {}).get("tokens_per_s_each") or []
    return (min(each), max(each)) if len(each) > 1 else None


def _site(record: Mapping[str, Any]) -> tuple[str, bool]:
    environment = record.get("environment") or {}
    cpu = environment.get("cpu") or {}
    parts = [str(cpu.get("name", "unknown CPU")), f"{cpu.get('usable_cores', '?')} cores"]
    parts += sorted(
        str(one.get("name", one)) if isinstance(one, Mapping) else str(one)
        for one in environment.get("accelerators") or []
    )
    return ", ".join(parts), bool(record.get("parallel"))
