"""What is allowed but probably not meant is told, and nothing else is."""

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
def test_what_is_probably_not_meant_is_told_by_its_path(overrides: list[str], path: str) -> None:
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
def test_nothing_is_told_of_what_is_meant(overrides: list[str]) -> None:
    job = job_from_overrides(overrides)
    assert advice(job, capabilities(job).ignores) == []
