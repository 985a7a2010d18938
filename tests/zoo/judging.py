"""Compare the answers of a backend with the reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .answering import STREAMED, Answers
from .building import Reference

WORKS = "works"
WRONG, REFUSED = "wrong: ", "refused: "


def verdict(found: Answers, reference: Reference) -> str:
    """Return `works`, or what is wrong, or why the backend refused the model."""
    if found.refused:
        return REFUSED + short(found.refused)
    if found.failed:
        return WRONG + short(found.failed)
    problems = (
        _differing("prompt ids", found.prompt_ids, reference.prompt_ids),
        _differing("answers", found.alone, reference.output_ids),
        _differing("answers in a batch", found.batch, found.alone),
        _differing("texts in a batch", found.batch_texts, found.alone_texts),
        _differing("streams", found.streams, [found.alone_texts[place] for place in STREAMED]),
    )
    told = [problem for problem in problems if problem]
    return WRONG + "; ".join(told) if told else WORKS


def short(message: str) -> str:
    """Return the first sentence of a message, without the paths of temporary directories."""
    line = re.sub(r"\S*/([\w.-]+)", r"\1", message.splitlines()[0] if message else "")
    return line if len(line) <= 200 else f"{line[:197]}..."


def _differing(what: str, found: Sequence[Any], expected: Sequence[Any]) -> str:
    if len(found) != len(expected):
        return f"{len(found)} of {len(expected)} {what}"
    places = [place for place, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other]
    if not places:
        return ""
    first = min(_common(found[place], expected[place]) for place in places)
    return f"{len(places)} of {len(expected)} {what} differ (first at {first})"


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return the length of the common prefix."""
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
                min(len(one), len(other)))
