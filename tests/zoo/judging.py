"""Compare the answers of a backend with the reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .answering import STREAMED, Answers
from .building import Reference

LONGEST = 240
WORKS = "works"
WRONG, REFUSED = "wrong: ", "refused: "


def verdict(found: Answers, reference: Reference, streamed: Sequence[int] = STREAMED) -> str:
    """Return `works`, or what is wrong, or why the backend refused the model.

    Args:
        streamed: positions of the prompts whose answers were streamed.
    """
    if found.refused:
        return REFUSED + short(found.refused)
    if found.failed:
        return WRONG + short(found.failed)
    problems = (
        _differing("prompt ids", found.prompt_ids, reference.prompt_ids),
        _differing("answers", found.alone, reference.output_ids),
        _differing("answers in a batch", found.batch, found.alone),
        _differing("texts in a batch", found.batch_texts, found.alone_texts),
        _differing("streams", found.streams, [found.alone_texts[place] for place in streamed]),
    )
    told = [problem for problem in problems if problem]
    return WRONG + "; ".join(told) if told else WORKS


def short(message: str) -> str:
    """Return the first line of a message, without its hint, paths and cache entries, which differ in each run."""
    line = message.splitlines()[0].partition(". Use ")[0] if message else ""
    line = re.sub(r" \(full log: .*\)|fp32-[0-9a-f]{16}", lambda found: "" if found[0][0] == " " else "model", line)
    line = re.sub(r"/\S*/([\w.-]+)", r"\1", line)
    line = re.sub(r"^The ", "the ", line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


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
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
