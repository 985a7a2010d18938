"""Settings that change the load key and the job id, and settings that do not."""

from __future__ import annotations

import pytest

from hforch.backends.load_key import load_key
from hforch.config.compose import job_from_overrides
from hforch.inputs import load_inputs
from hforch.runs.identity import job_id


def identities(*overrides: str) -> tuple[str, str]:
    job = job_from_overrides(overrides)
    return load_key(job), job_id(job, load_inputs(job.inputs))


@pytest.mark.parametrize(
    "override",
    ["prompt=chat", "stop=newline", "generation=sample", "inputs=numbers_in_french", "runtime.batch_size=2"],
)
def test_settings_of_outputs_change_only_the_job_id(override: str) -> None:
    plain, changed = identities(), identities(override)
    assert plain[0] == changed[0]
    assert plain[1] != changed[1]


@pytest.mark.parametrize(
    "override", ["model=gpt2", "backend=openvino", "device=auto", "precision=int8", "runtime.threads=1"]
)
def test_settings_of_the_loaded_model_change_both(override: str) -> None:
    plain, changed = identities(), identities(override)
    assert plain[0] != changed[0]
    assert plain[1] != changed[1]


def test_settings_that_a_backend_ignores_change_neither() -> None:
    assert identities("backend=pytorch") == identities("backend=pytorch", "ov_config=kv_u8")
    assert identities("backend=openvino") != identities("backend=openvino", "ov_config=kv_u8")
    assert identities("backend=fake") == identities("backend=fake", "model=gpt2", "precision=int4")


def test_display_repeat_and_isolation_change_neither() -> None:
    assert identities() == identities("runtime.display=json", "runtime.repeat=3", "runtime.isolation=inline")


def test_the_contents_of_inputs_count_and_not_their_source(tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "questions.csv"
    file.write_text("question\nWhat is the capital of France?\n", encoding="utf-8")
    assert identities() == identities("inputs=file", f"inputs.path={file}")
