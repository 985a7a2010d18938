"""Build the rows of a comparison, one per job, with the differing settings, metrics and notes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import realpath
from pathlib import Path
from typing import Any

from hforch.comparison.axes import axes_of
from hforch.comparison.baselines import baseline_pairs
from hforch.comparison.divergent_tokens import DivergentToken, divergent_tokens
from hforch.comparison.drift import PAIRS, Baseline, Chosen, Drift, Pair
from hforch.comparison.entries import Entry
from hforch.errors import ConfigError, Mistake
from hforch.metrics.aggregation import Timings
from hforch.metrics.registry import AGAINST_BASELINE, BY_NAME, COMPARED
from hforch.records.sample_lines import Samples
from hforch.runs import repeats
from hforch.scoring.uncertainty import ratio_of_sums

NOISE = 0.10  # largest accepted change of the machine's speed between a model's first and last measurement
QUANTILES = (5, 25, 50, 75, 95)  # the percentiles of each timing that charts show
ERRORS = tuple(metric.error_name for metric in COMPARED if metric.has_error)
ABSENT = {
    "memory": {metric.name for metric in COMPARED if metric.section == "memory" or metric.kind == "energy"},
    "logits": {metric.name for metric in COMPARED if metric.is_score},
}
"""Metrics that are not available if the backend lacks this; without `memory`, the model runs on another machine."""

WITH_BASELINE = {one.name for one in COMPARED if one.needs_baseline}
"""Metrics that compare a job with its baseline."""

NOT_SCORED = {
    "against_baseline": "not scored against the baseline",
    "on_text": "no perplexity",
}


@dataclass
class Row:
    """A job in a comparison.

    Attributes:
        axes: the settings that differ between jobs, by name.
        metrics: values and standard errors by name; None if not available.
        quantiles: percentiles (QUANTILES) of each sample timing, in milliseconds.
        spread: the lowest and highest tokens_per_s of the repeats.
        measured_on: the machine, and whether other jobs ran in parallel.
        baseline: the name of the job that its outputs are compared with.
        worst: the samples that differ earliest from those of the baseline.
        incomparable: why outputs and scores cannot be compared with those of the baseline; None if they can.
        divergent_tokens: the positions where next-token distributions differ most from those of the baseline.
    """

    entry: Entry
    axes: dict[str, str]
    metrics: dict[str, float | None]
    measured_on: tuple[str, bool]
    quantiles: dict[str, list[float]] = field(default_factory=dict)
    spread: tuple[float, float] | None = None
    notes: list[str] = field(default_factory=list)
    unit: str = "tokens"
    baseline: str | None = None
    checks: tuple[int, int] | None = None
    worst: list[Pair] = field(default_factory=list)
    divergent_tokens: list[DivergentToken] = field(default_factory=list)
    incomparable: str | None = None

    @property
    def label(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.axes.items()) or self.entry.name

    @property
    def shared(self) -> str | None:
        """Why the job counts as measured on a shared GPU; None if it does not."""
        reason = self.entry.record.get("shared_accelerator")
        return str(reason) if reason else None

    def lacks(self, metric: str) -> str | None:
        """Return why the job cannot have a metric; None if it can."""
        if self.incomparable and metric in WITH_BASELINE:
            return self.incomparable
        reasons = self.entry.record.get("absent") or {}
        return next((why for name, why in reasons.items() if metric in ABSENT.get(name, ())), None)

    def can_rank(self, metric: str) -> bool:
        """Return whether a metric may be compared with requirements and other jobs."""
        return self.shared is None or not BY_NAME[metric].is_lost_on_shared_gpu

    @property
    def counts_packages(self) -> bool:
        """Whether its energy includes the CPU packages; in older records, it covers only GPUs."""
        counted = (self.entry.record.get("metrics") or {}).get("energy_of") or ()
        return any(str(name).startswith("package") for name in counted)

    @property
    def is_noisy(self) -> bool:
        """Whether the machine's speed changed by more than NOISE while its model was loaded."""
        return self.entry.noise is not None and abs(self.entry.noise) > NOISE

    @property
    def title(self) -> str:
        """The job's name and label."""
        return f"{self.entry.name} ({self.label})" if self.axes else self.entry.name


@dataclass(frozen=True)
class Comparison:
    """The rows of a comparison, and notes on all of them."""

    rows: list[Row]
    notes: list[str]

    @property
    def axes(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row.axes))


def compare(entries: Sequence[Entry], baseline: Mapping[str, str] | None = None, worst: int = 3) -> Comparison:
    """Compare jobs.

    Args:
        baseline: values of load settings that select the baseline jobs; None: the most precise of the jobs that differ
            only in the load key.
        worst: the number of samples, and of token positions, with the largest differences that each row stores.

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
    for name, group in by_base.items():
        kept = _keep(named[name], group) if name else None
        for entry in group:
            try:
                rows[entry.name] = _row(entry, axes[entry.name], kept, worst)
            except ConfigError as error:
                mistakes += error.mistakes
    if mistakes:
        raise ConfigError(mistakes)
    ordered = [rows[entry.name] for entry in entries]
    for row in ordered:
        _add_ratio(row, rows)
    return Comparison(ordered, _notes(ordered))


# ---------------------------------------------------------------- one job
def _keep(base: Entry, group: Iterable[Entry]) -> Baseline:
    by_text = any(_unit(base, entry) == "characters" for entry in group)
    kept = Baseline(base, Chosen(_inputs(base.record)))
    for sample in Samples(base.samples, base.record):  # damaged lines are reported in the row of the baseline
        kept.add(sample, by_text)
    return kept


def _inputs(record: Mapping[str, Any]) -> int:
    """Return the number of inputs of a job, or of its samples if the record has no batch plan."""
    planned = {one for batch in record.get("plan") or [] for one in batch}
    return len(planned) or int((record.get("totals") or {}).get("planned") or 0)


def _unit(one: Entry, other: Entry) -> str:
    """Return "tokens" if token ids are comparable because two jobs have the same weights, else "characters"."""
    mine, its = ((entry.record.get("model") or {}).get("fingerprint") for entry in (one, other))
    has_ids = all("token_ids" not in (entry.record.get("absent") or {}) for entry in (one, other))
    return "tokens" if has_ids and mine is not None and mine == its else "characters"


def _row(entry: Entry, axes: dict[str, str], base: Baseline | None, worst: int) -> Row:
    record = entry.record
    timings = Timings()
    failed = seen = 0
    drift = Drift(base.entry.name, _unit(base.entry, entry), worst, base.chosen) if base else None
    own = base is not None and base.entry.name == entry.name
    samples = Samples(entry.samples, entry.record)
    for sample in samples:
        seen += 1
        if sample["error"] is not None:
            failed += 1
            continue
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
    row = Row(entry, axes, metrics, _site(record), timings.quantiles(QUANTILES), _spread(record))
    row.unit = drift.unit if drift else "tokens"
    checks = (record.get("totals") or {}).get("checks")
    if checks and checks["total"]:
        row.checks = checks["passed"], checks["total"]
        metrics["checks"] = checks["passed"] / checks["total"]
    if drift and base and not own:
        row.baseline = base.entry.name
        metrics |= drift.metrics()
        if drift.other_prompt_ids:
            row.incomparable = (
                f"{drift.other_prompt_ids} of {drift.joined} prompts have other token ids than in the baseline, so"
                " outputs and scores cannot be compared"
            )
            metrics |= dict.fromkeys(WITH_BASELINE)
            metrics |= dict.fromkeys(one.error_name for one in AGAINST_BASELINE if one.has_error)
        row.worst = drift.worst(base.entry)
    elif own and seen > failed:
        metrics |= {
            metric.name: metric.value_for_baseline
            for metric in COMPARED
            if metric.section is None and metric.value_for_baseline is not None
        }
    broken: list[int] = []
    row.divergent_tokens = divergent_tokens(entry, worst, broken)
    row.notes = [*_of_row(entry, own, drift, seen), *samples.notices()]
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
    own, theirs = _scores(row.entry, "on_text"), _scores(base.entry, "on_text")
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
    baseline = _scores(entry, "against_baseline").get("baseline")
    return Path(realpath(entry.samples / baseline)) if baseline else None


def _scores(entry: Entry, part: str) -> Mapping[str, Any]:
    """Return the part `against_baseline` or `on_text` of a job's recorded scores."""
    return (entry.record.get("scores") or {}).get(part) or {}


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


def _not_run(rows: Sequence[Row]) -> list[str]:
    missing = [row.entry for row in rows if not row.entry.was_run]
    by_sweep: dict[Path, int] = {}
    for entry in missing:
        by_sweep[entry.directory.parent] = by_sweep.get(entry.directory.parent, 0) + 1
    return [
        f"{number} of {len(rows)} jobs were not run; to run them: hforch resume {sweep}"
        for sweep, number in by_sweep.items()
    ]


def _site(record: Mapping[str, Any]) -> tuple[str, bool]:
    environment = record.get("environment") or {}
    cpu = environment.get("cpu") or {}
    parts = [str(cpu.get("name", "unknown CPU")), f"{cpu.get('usable_cores', '?')} cores"]
    parts += sorted(
        str(one.get("name", one)) if isinstance(one, Mapping) else str(one)
        for one in environment.get("accelerators") or []
    )
    return ", ".join(parts), bool(record.get("parallel"))


# ---------------------------------------------------------------- notes
def _of_row(entry: Entry, is_base: bool, drift: Drift | None, seen: int) -> list[str]:
    record = entry.record
    notes = ["baseline"] if is_base else []
    if record.get("same_as"):
        notes.append(f"skipped: identical to job {str(record['same_as']).removeprefix('../')}")
    status = str(record.get("status"))
    if entry.unfinished:
        notes.append(entry.unfinished)
    notes += _why_not_scored(entry)
    notes += _lacks(record)
    if record.get("resumed"):
        notes.append("resumed: tokens/s covers only the last part")
    if record.get("shared_accelerator"):
        notes.append(f"not ranked by speed or energy: {record['shared_accelerator']}")
    if drift and drift.missing:
        have = "sample has" if drift.missing == 1 else "samples have"
        notes.append(f"{drift.missing} {have} no matching sample in the baseline")
    lacking = _lacking(record)
    if lacking and status not in ("interrupted", "partial"):
        notes.append(f"{lacking} samples are missing")
    gone = int((record.get("totals") or {}).get("samples") or 0) - seen
    if gone > 0 and status in ("ok", "failed"):
        notes.append(f"samples.jsonl is incomplete or was changed: {gone} of its samples are missing")
    return notes


def _lacks(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note for each reason why the backend lacks something, except logits, which only scoring requires."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in (record.get("absent") or {}).items():
        if name != "logits":
            by_reason.setdefault(reason, []).append(name.replace("_", " "))
    for reason, names in by_reason.items():
        yield f"no {', '.join(names)}: {reason}"


def _why_not_scored(entry: Entry) -> Iterator[str]:
    """Yield why a job lacks scores against its baseline or on a text."""
    for part, title in NOT_SCORED.items():
        for reason in dict.fromkeys((_scores(entry, part).get("absent") or {}).values()):
            yield f"{title}: {reason}"


def _lacking(record: Mapping[str, Any]) -> int:
    totals = record.get("totals") or {}
    return int(totals.get("planned") or 0) - int(totals.get("samples") or 0)


def _notes(rows: Sequence[Row]) -> list[str]:
    notes = _not_run(rows)
    rows = [row for row in rows if row.entry.record.get("environment")]
    sites = list(dict.fromkeys(row.measured_on for row in rows))
    if len({machine for machine, _ in sites}) > 1:
        notes.append("the jobs ran on different machines, so their speeds are not comparable:")
        for machine in dict.fromkeys(machine for machine, _ in sites):
            notes.append(f"  {machine}: {', '.join(row.entry.name for row in rows if row.measured_on[0] == machine)}")
    beside = [row.entry.name for row in rows if row.measured_on[1]]
    if beside and len(beside) < len(rows):
        told = "some jobs ran in parallel with others; their speeds are not comparable with those of the other jobs"
        notes.append(f"{told}: {', '.join(beside)}")
    elif beside:
        notes.append("all jobs ran in parallel with others; each would be faster alone")
    measured = [row for row in rows if row.metrics.get("power_w") is not None]
    on_gpu = [row.entry.name for row in measured if not row.counts_packages]
    if on_gpu and len(on_gpu) < len(measured):
        notes.append(
            f"energy covers only the GPUs in some jobs ({', '.join(on_gpu)}); it is not comparable with that of the "
            "other jobs, which includes the CPU packages"
        )
    notes += _noise_notes(rows)
    notes += _repeat_notes(rows)
    if any(row.unit == "characters" and row.baseline for row in rows):
        notes.append("first_diff is in tokens, or in characters where token ids are not comparable")
    most = max((_inputs(row.entry.record) for row in rows), default=0)
    if most > PAIRS and any(row.baseline for row in rows):
        notes.append(f"chrF and edit similarity are computed on about {PAIRS} of {most} inputs, the same for all jobs")
    return notes


def _noise_notes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a warning for each loaded model whose first batch ran slower or faster at the end than at the start."""
    loads: dict[tuple[Path, Any], list[Row]] = {}
    for row in rows:
        if row.is_noisy:
            loads.setdefault((row.entry.directory.parent, row.entry.record.get("load_key")), []).append(row)
    for some in loads.values():
        noise = some[0].entry.noise or 0.0
        names = f"job{'s' * (len(some) > 1)} {', '.join(row.entry.name for row in some)}"
        told = f"{abs(noise):.0%} {'slower' if noise > 0 else 'faster'}"
        change = f"the same batch ran {told} at the end than at the start (tolerance {NOISE:.0%})"
        yield f"timings of {names} are unreliable: {change}"


def _repeat_notes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a warning for each job, unless resumed, whose first repeat differs significantly from the later ones."""
    for row in rows:
        metrics = row.entry.record.get("metrics") or {}
        each, seconds = metrics.get("tokens_per_s_each") or (), metrics.get("measured_s")
        if seconds and not row.entry.record.get("resumed"):
            share = repeats.first_differs(each, seconds)
            if share is not None:
                yield f"job {row.entry.name}: {repeats.remark(share)}"
