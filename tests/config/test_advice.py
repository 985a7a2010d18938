"""Settings that are valid but probably unintended cause a warning, and others do not."""

from __future__ import annotations

import pytest

from hforch.backends.base import capabilities
from hforch.config.advice import advice
from hforch.config.compose import job_from_overrides


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        ([r"stop.sequences=['\n']"], "stop.sequences.0"),
        ([r"stop.sequences=['.','a\tb']"], "stop.sequences.1"),
        (["ov_config=latency"], "ov_config"),
    ],
)
def test_a_probably_unintended_setting_causes_a_warning_with_its_path(overrides: list[str], path: str) -> None:
    job = job_from_overrides(overrides)
    (remark,) = advice(job, capabilities(job).ignores)
    assert remark.path == path
    assert remark.hint


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["stop=newline"],
        ["stop=blank_line"],
        [r"stop.sequences=['\\alpha']"],
        ["backend=openvino", "ov_config=kv_u8"],
    ],
)
def test_other_settings_cause_no_warning(overrides: list[str]) -> None:
    job = job_from_overrides(overrides)
    assert advice(job, capabilities(job).ignores) == []
