"""Tests of the comparison of greedy answers with the logits from which scores are computed."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from hforch.scoring.choices import Choices, is_greedy

LOGITS = numpy.array([[0.0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 2.9, 1], [3, 0, 0, 0]], dtype=numpy.float32)


def contradiction(ids: list[int], text: list[int], chunk: int = 4) -> dict[str, Any] | None:
    choices = Choices.of(ids, text)
    for start in range(0, len(text), chunk):
        choices.add(start, LOGITS[start : min(start + chunk, len(text))])
    return choices.record()


@pytest.mark.parametrize("chunk", [1, 2, 3, 4])
def test_a_choice_contradicts_the_logits_unless_tokens_are_almost_equally_likely(chunk: int) -> None:
    assert contradiction([3, 0, 1, 0], [3, 0, 1, 0], chunk) is None
    assert contradiction([3, 0, 2, 0], [3, 0, 1, 0], chunk) is None  # 2.9 instead of 3
    assert contradiction([3, 0, 3, 0], [3, 0, 1, 0], chunk) == {"position": 2, "id": 3, "margin": 2.0}
    assert contradiction([3, 1, 3, 0], [3, 0, 1, 0], chunk) == {"position": 1, "id": 1, "margin": 1.0}


def test_tokens_after_the_first_difference_are_not_compared() -> None:
    assert contradiction([3, 0, 2, 1], [3, 0, 1, 0]) is None
    assert contradiction([3], [3, 0, 1, 0]) is None
    assert contradiction([], [3, 0, 1, 0]) is None
    assert contradiction([3, 0, 1, 0], [3]) is None


@pytest.mark.parametrize(
    ("more", "greedy"),
    [
        ({}, True),
        ({"num_beams": 1, "repetition_penalty": 1.0, "max_new_tokens": 16, "eos_token_id": [2]}, True),
        ({"do_sample": True}, False),
        ({"num_beams": 4}, False),
        ({"repetition_penalty": 1.1}, False),
        ({"min_new_tokens": 4}, False),
        ({"json_schema": "{}"}, False),
        ({"ignore_eos": True}, True),
    ],
)
def test_settings_that_change_logits_are_not_greedy(more: dict[str, Any], greedy: bool) -> None:
    assert is_greedy({"do_sample": False, **more}) is greedy
