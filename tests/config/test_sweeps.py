"""All jobs of a sweep are validated before the first one runs."""

from __future__ import annotations

import pytest

from hforch.config.config_dirs import find_config_dirs
from hforch.config.sweeps import Plan, plan
from hforch.errors import ConfigError


def planned(*overrides: str) -> Plan:
    return plan(overrides, find_config_dirs(), multirun=True)


def mistakes(*overrides: str) -> list[tuple[str, str | None]]:
    with pytest.raises(ConfigError) as caught:
        planned(*overrides)
    return [(mistake.path, mistake.where) for mistake in caught.value.mistakes]


def test_the_leftmost_sweep_varies_slowest() -> None:
    jobs = planned("stop=none,newline", "runtime.seed=range(1,3)").jobs
    assert [(job.job.stop.sequences, job.job.runtime.seed) for job in jobs] == [
        ((), 1),
        ((), 2),
        (("\n",), 1),
        (("\n",), 2),
    ]


def test_every_kind_of_sweep_is_expanded() -> None:
    assert len(planned("stop=glob(*,exclude=none)").jobs) == 2
    assert len(planned("runtime.seed=choice(1,2,3)").jobs) == 3
    assert len(planned("prompt.template='{question}','Q: {question}'").jobs) == 2


def test_errors_of_many_jobs_are_reported_once_with_the_override() -> None:
    assert mistakes("model=gpt2,gpt3", "generation.num_beams=0,2", "stop=none,newline,newlin", "runtime.foo=1") == [
        ("generation.num_beams", "generation.num_beams=0,2"),
        ("model", "model=gpt2,gpt3"),
        ("runtime.foo", "runtime.foo=1"),
        ("stop", "stop=none,newline,newlin"),
    ]


def test_a_contradiction_between_two_sweeps_is_found() -> None:
    assert mistakes("backend=openvino,pytorch", "device=cpu,npu")[0][0] == "device.kind"


@pytest.mark.parametrize("override", ["runtime.seed=interval(0,1)", "stop=glob(zzz)", "hydra.verbose=true,false"])
def test_a_sweep_without_jobs_is_refused(override: str) -> None:
    assert (override.partition("=")[0], override) in mistakes(override)


def test_a_job_can_use_its_number() -> None:
    assert [job.job.runtime.seed for job in planned("stop=none,newline", "runtime.seed=${hydra:job.num}").jobs] == [
        0,
        1,
    ]


def test_a_mapping_that_a_sweep_would_drop_is_an_error() -> None:
    with pytest.raises(ConfigError) as refused:
        planned("generation={max_new_tokens: 5}", "generation={ignore_eos: true}", "runtime.seed=1,2")
    (mistake,) = refused.value.mistakes
    assert (mistake.path, mistake.where) == ("generation", "generation={max_new_tokens: 5}")
    assert "key by key" in str(mistake.hint)
