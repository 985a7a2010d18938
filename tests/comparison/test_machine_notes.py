"""Sentences about disturbed measurements and little data, from made-up records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from written import answers, precision, write_job, write_sweep

from hforch.comparison.entries import Entry, read_jobs
from hforch.comparison.machine_notes import KINDS, little_data_note, machine_notes
from hforch.comparison.rows import Row
from hforch.comparison.table import compare

QUIET = {
    **{"seconds": 20.0, "cpus": 2, "own_cpu": 0.9, "others_cpu": 0.02, "steal": 0.0},
    **{"swapped_in_mb": 0.0, "swapped_out_mb": 0.1, "cpu_mhz_min": 800.0, "cpu_mhz_mean": 3000.0},
    **{"thermal_throttles": 0, "quota_throttles": 0, "quota_throttled_s": 0.0},
}


def row(name: str, load: dict[str, Any] | None, machine: str = "a cpu", **record: Any) -> Row:
    """Return the row of a job on the CPU, with the differences of its load from that of a quiet machine."""
    whole = {"effective": {"device": ["cpu"]}, **record}
    if load is not None and "rounds" not in whole:
        whole["rounds"] = [{"machine": QUIET | load}]
    return Row(Entry(name, Path(name), whole, Path(name)), {}, {}, (machine, False))


def test_a_quiet_machine_and_old_records_have_no_notes() -> None:
    assert machine_notes([]) == []
    assert machine_notes([row("0", {}), row("1", None), row("2", {"absent": {"steal": "unknown"}})]) == []


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (
            {"others_cpu": 0.46},
            "other processes used 46% of the CPU during job 0: stop those processes and measure again, or increase"
            " runtime.rounds",
        ),
        (
            {"steal": 0.12},
            "the host withheld 12% of this virtual machine's CPU time during job 0 (steal): measure again on a machine"
            " with dedicated CPUs, or increase runtime.rounds",
        ),
        (
            {"swapped_in_mb": 1200.0, "swapped_out_mb": 34.0},
            "the machine swapped 1,234 MB during job 0: free memory, or use a smaller batch or model, and measure"
            " again",
        ),
        (
            {"thermal_throttles": 7},
            "heat slowed down the CPU during job 0 (throttled 7 times): improve its cooling, or let it cool down, and"
            " measure again",
        ),
        (
            {"quota_throttled_s": 10.0},
            "a CPU quota of the container took 25% of the CPU time during job 0: raise the quota, or set"
            " runtime.threads to the number of CPUs that it allows, and measure again",
        ),
    ],
)
def test_each_disturbance_is_one_sentence_with_what_to_do(load: dict[str, Any], expected: str) -> None:
    assert machine_notes([row("0", load), row("1", {})]) == [expected]


def test_several_jobs_share_a_sentence_with_the_largest_amount() -> None:
    loads = {"0": 0.2, "1": 0.05, "2": 0.46}
    (note,) = machine_notes([row(name, {"others_cpu": share}) for name, share in loads.items()])
    assert note.startswith("other processes used up to 46% of the CPU during jobs 0 and 2: ")


def test_many_jobs_are_counted_instead_of_named() -> None:
    (note,) = machine_notes([row(str(number), {"others_cpu": 0.5}) for number in range(100)])
    assert "used 50% of the CPU during jobs 0, 1, 2, 3, 4, 5, 6, 7 and 92 others: " in note


def test_all_kinds_together_are_one_sentence_each() -> None:
    bad = {"others_cpu": 0.5, "steal": 0.5, "swapped_in_mb": 99.0, "thermal_throttles": 2, "quota_throttled_s": 9.0}
    notes = machine_notes([row("0", bad), row("1", bad | {"cpu_mhz_mean": 1000.0})])
    assert len(notes) == len(KINDS) + 1


@pytest.mark.parametrize(
    "record",
    [
        {"parallel": True},
        {"absent": {"memory": "the model runs on another machine"}},
        {"rounds": [{"machine": QUIET | {"others_cpu": 0.9, "seconds": 0.9}}]},
    ],
)
def test_jobs_in_parallel_elsewhere_or_too_short_are_not_judged(record: dict[str, Any]) -> None:
    load = None if "rounds" in record else {"others_cpu": 0.9}
    assert machine_notes([row("0", load, **record)]) == []


@pytest.mark.parametrize(("own", "judged"), [(0.1, False), (0.5, True)])
def test_other_processes_disturb_a_job_on_a_gpu_only_if_the_cpu_is_full(own: float, judged: bool) -> None:
    found = machine_notes([row("0", {"others_cpu": 0.45, "own_cpu": own}, effective={"device": ["cuda:0"]})])
    assert bool(found) is judged


def test_rounds_are_weighted_by_their_duration() -> None:
    rounds = [
        {"machine": QUIET | {"others_cpu": 0.4, "seconds": 10.0, "swapped_in_mb": 6.0}},
        {"machine": QUIET | {"others_cpu": 0.1, "seconds": 20.0, "swapped_in_mb": 6.0}},
        {"machine": None},
    ]
    notes = machine_notes([row("0", {"others_cpu": 0.9}, rounds=rounds)])
    assert [note.split(" during")[0] for note in notes] == [
        "other processes used 20% of the CPU",
        "the machine swapped 12 MB",
    ]


def test_a_clock_that_differs_between_jobs_is_noted_once_with_both_jobs() -> None:
    rows = [row(name, {"cpu_mhz_mean": mhz}) for name, mhz in (("0", 3000.0), ("1", 2000.0), ("2", 2900.0))]
    (note,) = machine_notes(rows)
    assert note.startswith("the CPU ran at 2,000 MHz during job 1 and at 3,000 MHz during job 0: set a constant clock")


def test_clocks_of_different_machines_are_not_compared() -> None:
    assert (
        machine_notes([row("0", {"cpu_mhz_mean": 3000.0}), row("1", {"cpu_mhz_mean": 1000.0}, machine="other")]) == []
    )


# ---------------------------------------------------------------- little data
TWICE = "warning: speed is based on only 2 measurements of each job (set runtime.rounds=3 or more)"


def planned(inputs: int, times: int, rounds: int = 0) -> Row:
    each = [10.0] * times if times > 1 else None
    made = {"rounds": [{"round": number} for number in range(rounds)]} if rounds else {}
    plan = [[f"input-{number}"] for number in range(inputs)]
    return row("0", None, plan=plan, metrics={"tokens_per_s_each": each}, **made)


def test_little_data_is_one_sentence_with_what_is_missing() -> None:
    assert little_data_note([planned(8, 1)], has_speed=True, has_quality=True) == (
        "warning: quality is based on only 8 inputs (use 50 or more); speed is based on only 1 measurement of each job"
        " (set runtime.rounds=3 or more)"
    )


@pytest.mark.parametrize(
    ("job", "has_speed", "has_quality", "expected"),
    [
        (planned(8, 1), False, True, "warning: quality is based on only 8 inputs (use 50 or more)"),
        (planned(1, 1), False, True, "warning: quality is based on only 1 input (use 50 or more)"),
        (planned(8, 2), True, False, TWICE),
        (
            planned(8, 6, rounds=2),
            True,
            False,
            TWICE,
        ),
        (planned(50, 3), True, True, None),
        (planned(50, 1, rounds=3), True, True, None),
        (planned(1, 1), False, False, None),
    ],
)
def test_only_what_the_decision_depends_on_counts(
    job: Row, has_speed: bool, has_quality: bool, expected: str | None
) -> None:
    assert little_data_note([planned(1000, 20), job], has_speed, has_quality) == expected


def test_without_jobs_there_is_no_note_about_data() -> None:
    assert little_data_note([], has_speed=True, has_quality=True) is None


# ---------------------------------------------------------------- in a comparison
def test_a_comparison_notes_a_busy_machine_once(tmp_path: Path) -> None:
    for name, kind in (("0", "fp32"), ("1", "int8")):
        rounds = [{"round": 0, "load": 0, "machine": QUIET | {"others_cpu": 0.3}}]
        effective = {"device": ["cpu"]}
        write_job(tmp_path / name, answers(("a", [1])), **precision(kind), rounds=rounds, effective=effective)
    notes = compare(read_jobs([tmp_path])).notes
    assert [note for note in notes if "other processes" in note] == [
        "other processes used 30% of the CPU during jobs 0 and 1: stop those processes and measure again, or increase"
        " runtime.rounds"
    ]


@pytest.mark.parametrize(("first_s", "again_s", "judged"), [(0.005, 0.01, False), (0.2, 0.05, False), (0.2, 0.3, True)])
def test_short_batches_give_no_verdict_on_the_machine(
    first_s: float, again_s: float, judged: bool, tmp_path: Path
) -> None:
    write_job(tmp_path / "0", answers(("a", [1])), **precision("fp32"))
    noise = {"load_key": "0", "job": 0, "first_s": first_s, "again_s": again_s, "drift": again_s / first_s - 1}
    write_sweep(tmp_path, ["0"], noise=[noise])
    found = compare(read_jobs([tmp_path]))
    assert any("unreliable" in note for note in found.notes) is judged
    assert found.rows[0].is_noisy is judged
