"""Helpers to create samples and judge them by checks."""

from __future__ import annotations

from typing import Any

from hforch.checks.judging import judge
from hforch.config.schema import Checks


def made(*items: Any, strip: bool = True) -> Checks:
    """Return the group `checks` from checks in the user's notation."""
    return Checks.model_validate({"items": items, "strip": strip})


def sample(text: str | None = "Paris", **more: Any) -> dict[str, Any]:
    plain = {"text": text, "prompt": "Where?", "input": {}, "error": None, "output_tokens": 3, "finish_reason": "eos"}
    return plain | more


def passes(item: dict[str, Any], answer: dict[str, Any], strip: bool = True) -> bool:
    """Return whether the check passes; assert that a failure has a reason, and that negation inverts the result."""
    (result,) = judge(made(item, strip=strip))(answer)
    (contrary,) = judge(made(item | {"negate": True}, strip=strip))(answer)
    assert result["passed"] != contrary["passed"]
    for one in (result, contrary):
        assert bool(one["why"]) != one["passed"]
    assert contrary["name"] == f"not {result['name']}"
    return bool(result["passed"])
