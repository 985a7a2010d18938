"""Warn about disturbed measurements and about little data: at most one sentence of each kind. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hforch.comparison.rows import Row, number_of_inputs
from hforch.metrics.metric import is_on_cpu

SHORTEST_S = 1.0
"""Shorter jobs are not judged: CPU time is counted in steps of 10 ms per process, and a single burst decides."""
OTHERS = 0.10
"""Smallest share of CPU time of other processes that is reported: a job that uses all CPUs loses about this share of
its speed, the same as the accepted change of a batch's time (NOISE). Services of an idle machine use 1 to 3%."""
FULL = 0.90
"""If the CPUs are busy for less of the time, other processes hardly affect a job whose model is on another device."""
STEAL = 0.02
"""Smallest share of stolen time that is reported: all threads of a model wait for the one whose CPU was stolen."""
SWAPPED_MB = 10.0
"""Least swapping that is reported; the kernel also moves unused pages of other processes in and out."""
QUOTA = 0.01
"""Smallest share of CPU time lost to a quota that is reported; without a quota that is too small it is 0."""
CLOCK = 0.20
"""Largest accepted difference between clock frequencies; they also differ with the instructions that jobs use."""
FEWEST_INPUTS = 50
"""With fewer inputs, a difference in quality of several percent cannot be shown."""
FEWEST_ROUNDS = 3
"""With fewer measurements, their variance is hardly known (the t distribution has one degree of freedom or none)."""
MOST_NAMES = 8  # the largest number of jobs that a sentence names

Load = Mapping[str, Any]


def machine_notes(rows: Sequence[Row]) -> list[str]:
    """Return the disturbances in the measured phases of the jobs, each with what to do.

    Not judged are jobs of less than SHORTEST_S, jobs that ran in parallel with others, and jobs whose model is on
    another machine.
    """
    loads = [(row, load) for row in rows if (load := _load_of(row)).get("seconds", 0.0) >= SHORTEST_S]
    notes = [kind.note(loads) for kind in KINDS]
    return [note for note in (*notes, _clock_note(loads)) if note is not None]


def little_data_note(rows: Sequence[Row], has_speed: bool, has_quality: bool) -> str | None:
    """Return a warning if a decision is based on few inputs or few measurements, with what to do.

    Args:
        rows: the jobs of the decision.
        has_speed: whether it depends on speed or energy, for which measurements count.
        has_quality: whether it depends on quality, for which inputs count.

    Returns:
        one sentence; None if there is enough data.
    """
    inputs = min((number_of_inputs(row.entry.record) for row in rows), default=FEWEST_INPUTS)
    times = min((_times_measured(row.entry.record) for row in rows), default=FEWEST_ROUNDS)
    found = []
    if has_quality and inputs < FEWEST_INPUTS:
        found.append(f"quality is based on only {inputs} input{'s' * (inputs != 1)} (use {FEWEST_INPUTS} or more)")
    if has_speed and times < FEWEST_ROUNDS:
        measured = f"{times} measurement{'s' * (times != 1)} of each job"
        found.append(f"speed is based on only {measured} (set runtime.rounds={FEWEST_ROUNDS} or more)")
    return f"warning: {'; '.join(found)}" if found else None


def _times_measured(record: Mapping[str, Any]) -> int:
    """Return how often a job was measured; repeats count if the record does not list rounds."""
    each = (record.get("metrics") or {}).get("tokens_per_s_each") or ()
    return len(record.get("rounds") or ()) or max(1, len(each))


# ---------------------------------------------------------------- the load of a job
def _load_of(row: Row) -> Load:
    """Return the load in all measured phases of a job: means weighted by duration, and sums; empty if unknown."""
    record = row.entry.record
    if record.get("parallel") or "memory" in (record.get("absent") or {}):
        return {}
    parts = [one["machine"] for one in record.get("rounds") or () if one.get("machine")]
    found: dict[str, float] = {"seconds": sum(part.get("seconds") or 0.0 for part in parts)}
    for name in ("own_cpu", "others_cpu", "steal", "cpu_mhz_mean", "cpus"):
        known = [(part[name], part.get("seconds") or 0.0) for part in parts if part.get(name) is not None]
        if (seconds := sum(weight for _, weight in known)) > 0:
            found[name] = sum(value * weight for value, weight in known) / seconds
    for name in ("swapped_in_mb", "swapped_out_mb", "thermal_throttles", "quota_throttled_s"):
        found[name] = sum(part.get(name) or 0 for part in parts)
    return found


def _others(row: Row, load: Load) -> float:
    others: float = load.get("others_cpu", 0.0)
    is_full = others + load.get("own_cpu", 0.0) + load.get("steal", 0.0) >= FULL
    devices = (row.entry.record.get("effective") or {}).get("device") or ()
    return others if is_on_cpu(devices) or is_full else 0.0


def _quota(_: Row, load: Load) -> float:
    return float(load["quota_throttled_s"] / (load["seconds"] * load.get("cpus", 1)))


# ---------------------------------------------------------------- sentences
@dataclass(frozen=True)
class Kind:
    """A kind of disturbance.

    Attributes:
        value: how much it disturbed a job.
        least: the smallest value that is reported.
        amount: the format of the value.
        sentence: the note, with `amount` and `during`.
    """

    value: Callable[[Row, Load], float]
    least: float
    amount: str
    sentence: str

    def note(self, loads: Sequence[tuple[Row, Load]]) -> str | None:
        values = [(row.entry.name, self.value(row, load)) for row, load in loads]
        found = [(name, value) for name, value in values if value >= self.least]
        if not found:
            return None
        low, high = (self.amount.format(pick(value for _, value in found)) for pick in (min, max))
        amount = high if low == high else f"up to {high}"
        return self.sentence.format(amount=amount, during=_during([name for name, _ in found]))


KINDS = (
    Kind(
        _others,
        OTHERS,
        "{:.0%}",
        "other processes used {amount} of the CPU {during}: stop those processes and measure again, or increase"
        " runtime.rounds",
    ),
    Kind(
        lambda _, load: load.get("steal", 0.0),
        STEAL,
        "{:.0%}",
        "the host withheld {amount} of this virtual machine's CPU time {during} (steal): measure again on a machine"
        " with dedicated CPUs, or increase runtime.rounds",
    ),
    Kind(
        lambda _, load: load["swapped_in_mb"] + load["swapped_out_mb"],
        SWAPPED_MB,
        "{:,.0f} MB",
        "the machine swapped {amount} {during}: free memory, or use a smaller batch or model, and measure again",
    ),
    Kind(
        lambda _, load: load["thermal_throttles"],
        1,
        "{:.0f}",
        "heat slowed down the CPU {during} (throttled {amount} times): improve its cooling, or let it cool down, and"
        " measure again",
    ),
    Kind(
        _quota,
        QUOTA,
        "{:.0%}",
        "a CPU quota of the container took {amount} of the CPU time {during}: raise the quota, or set runtime.threads"
        " to the number of CPUs that it allows, and measure again",
    ),
)


def _clock_note(loads: Sequence[tuple[Row, Load]]) -> str | None:
    """Return a note if the clock frequencies of jobs on the same machine differ by more than CLOCK."""
    by_machine: dict[str, list[tuple[float, str]]] = {}
    for row, load in loads:
        if load.get("cpu_mhz_mean"):
            by_machine.setdefault(row.measured_on[0], []).append((load["cpu_mhz_mean"], row.entry.name))
    ranges = [(min(found), max(found)) for found in by_machine.values()]
    if not ranges:
        return None
    (low, slow), (high, fast) = max(ranges, key=lambda one: one[1][0] / one[0][0])
    if high / low - 1 <= CLOCK:
        return None
    return (
        f"the CPU ran at {low:,.0f} MHz during job {slow} and at {high:,.0f} MHz during job {fast}: set a constant"
        " clock (cpupower frequency-set --governor performance), check its cooling, and measure again"
    )


def _during(names: Sequence[str]) -> str:
    """Return `during job 0`, `during jobs 0, 1 and 5`, or the first jobs and the number of the others."""
    if len(names) == 1:
        return f"during job {names[0]}"
    if len(names) > MOST_NAMES:
        return f"during jobs {', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} others"
    return f"during jobs {', '.join(names[:-1])} and {names[-1]}"
