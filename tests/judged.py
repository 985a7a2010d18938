"""Samples as checks see them, and whether they pass."""

from __future__ import annotations

from typing import Any

from hforch.checks.judging import judge
from hforch.config.schema import Checks


def made(*items: Any, strip: bool = True) -> Checks:
    """The group `checks`, from checks as somebody writes them."""
    return Checks.model_validate({"items": items, "strip": strip})


def sample(text: str | None = "Paris", **more: Any) -> dict[str, Any]:
    plain = {"text": text, "prompt": "Where?", "input": {}, "error": None, "output_tokens": 3, "finish_reason": "eos"}
    return plain | more


def passes(item: dict[str, Any], answer: dict[str, Any], strip: bool = True) -> bool:
    """Whether the check is passed; it must say why not, and its negation must say the contrary."""
    (result,) = judge(made(item, strip=strip))(answer)
    (contrary,) = judge(made(item | {"negate": True}, strip=strip))(answer)
    assert result["passed"] != contrary["passed"]
    for one in (result, contrary):
        assert bool(one["why"]) != one["passed"]
    assert contrary["name"] == f"not {result['name']}"
    return bool(result["passed"])
