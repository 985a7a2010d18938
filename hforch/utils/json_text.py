"""Serialize to JSON without known credentials, and without NaN or infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from hforch.utils.redaction import may_hold_known, redacted_tree, without_known


def to_json(value: Any, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return a value as JSON, with known credentials redacted, and null for NaN and infinity."""
    try:
        text = _dumps(value, indent, ascii_only)
    except ValueError:
        text = _dumps(_each(value, _finite), indent, ascii_only)
    if may_hold_known(text):
        text = _dumps(redacted_tree(json.loads(text), without_known), indent, ascii_only)
    # A model can produce lone surrogates, which UTF-8 cannot encode.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _dumps(value: Any, indent: int | None, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, indent=indent, default=str, allow_nan=False)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _each(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each(item, change) for item in value]
    return change(value)


def _finite(leaf: Any) -> Any:
    return None if isinstance(leaf, float) and not math.isfinite(leaf) else leaf
