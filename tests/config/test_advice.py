"""Settings that are valid but probably unintended cause a warning, and others do not."""

from __future__ import annotations

import re
import subprocess

import pytest

from hforch.backends.base import capabilities
from hforch.config.advice import advice
from hforch.config.compose import job_from_overrides


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        ([r"stop.sequences=['\n']"], "stop.sequences.0"),
        ([r"stop.sequences=['.','a\tb']"], "stop.sequences.1"),
        ([r"prompt.template='Q: {question}\nA:'"], "prompt.template"),
        (["prompt=chat", r"prompt.system='Be kind.\n'"], "prompt.system"),
        (["prompt=chat", r"prompt.messages=[{role: user, content: '{question}\n'}]"], "prompt.messages.0.content"),
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
        [r"prompt.template='Solve \tau = {question}'"],
        ["backend=openvino", "ov_config=kv_u8"],
    ],
)
def test_other_settings_cause_no_warning(overrides: list[str]) -> None:
    job = job_from_overrides(overrides)
    assert advice(job, capabilities(job).ignores) == []


@pytest.mark.parametrize(
    "override",
    [
        r'stop.sequences=["\n"]',
        r'stop.sequences=["\n\n"]',
        r'stop.sequences=["a\tb","\n"]',
        r'prompt.template="Q: {question}\nA:"',
        r"prompt.template='Q: {question}\n'",
    ],
)
def test_following_the_hint_about_a_backslash_removes_the_warning(override: str) -> None:
    """Double quotes alone do not help, because Hydra does not know \\n."""
    job = job_from_overrides(["prompt=step_by_step", override])
    remark = advice(job, capabilities(job).ignores)[0]
    if option := re.search(r"use (stop=\w+)", remark.hint or ""):
        suggested = option[1]
    else:
        quoted = re.search(r"\$'.+(?='; in YAML)", remark.hint or "")
        assert quoted is not None, remark.hint
        done = subprocess.run(["bash", "-c", f"printf %s {quoted[0]}'"], capture_output=True, text=True, check=True)
        suggested = done.stdout
    changed = job_from_overrides(["prompt=step_by_step", suggested])
    assert advice(changed, capabilities(changed).ignores) == []
    assert changed.stop.sequences == tuple(real(one) for one in job.stop.sequences)
    assert changed.model_dump()["prompt"]["template"] == real(job.model_dump()["prompt"]["template"])


def real(text: str) -> str:
    return text.replace(r"\n", "\n").replace(r"\t", "\t")
