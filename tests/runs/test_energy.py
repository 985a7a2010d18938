"""Energy of a job that is measured in several parts."""

from __future__ import annotations

from hforch.runs.energy import RESUMED, added_up

PART = {"energy_of": ["package-0"], "energy_j": 10.0, "power_w": 5.0, "joules_per_token": 0.5, "absent": {}}


def test_the_energy_of_parts_is_added_up() -> None:
    earlier = {"energy_j": 30.0, "power_w": 10.0}
    whole = added_up(earlier, PART, tokens=80)
    assert (whole["energy_j"], whole["joules_per_token"]) == (40.0, 0.5)
    assert whole["power_w"] == 8.0  # 40 J in 3 + 2 s


def test_the_total_is_unknown_if_that_of_an_earlier_part_is() -> None:
    whole = added_up({"power_w": 10.0, "absent": {"energy_j": RESUMED}}, PART, tokens=80)
    assert "energy_j" not in whole and whole["absent"]["energy_j"] == RESUMED
    assert whole["joules_per_token"] == 0.5


def test_missing_energy_stays_missing() -> None:
    absent = {"absent": {"energy_j": "no counter"}}
    assert added_up({"energy_j": 30.0, "power_w": 10.0}, absent, tokens=80) == absent
