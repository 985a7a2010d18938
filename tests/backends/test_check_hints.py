"""Follow the hints of errors that depend on the machine: the change that a hint suggests must remove its error."""

from __future__ import annotations

import pytest
from hints import suggestions

from hforch.backends.base import check
from hforch.config.compose import job_from_overrides

pytestmark = pytest.mark.model  # checks ask the libraries

GENAI = "backend=openvino_genai"


@pytest.mark.parametrize(
    "overrides",
    [
        [GENAI, "generation=sample", "generation.typical_p=0.5"],
        [GENAI, "generation=sample", "generation.num_beams=2"],
        [GENAI, "generation.no_repeat_ngram_size=3"],
        ["backend=fake", "backend.remote=true", "scoring=text"],
        ["backend=openvino", "precision=fp16"],
        ["backend=openvino", "device=gpu", "device.device_map=balanced", "device.index=null"],
        ["backend=openvino", "device=auto", "device.device_map=balanced"],
        ["device=gpu"],
        ["model.attn_implementation=flash_attention_2"],
        ["model.attn_implementation=flash_attention_2", "precision=fp32"],
        ["backend.compile=true"],
    ],
    ids=" ".join,
)
def test_following_a_hint_removes_the_error(overrides: list[str]) -> None:
    mistakes = check(job_from_overrides(overrides))
    if not mistakes:
        pytest.skip("this machine supports it")
    for mistake in mistakes:
        followed = list(suggestions(overrides, mistake))
        assert followed, mistake
        for changed in followed:
            left = check(job_from_overrides(changed))
            assert (mistake.path, mistake.problem) not in {(one.path, one.problem) for one in left}, changed
