"""Find the differences between two texts, word by word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import regex

from hforch.utils.sequences import first_diff

LARGEST = 25_000_000  # maximum product of both word counts; if exceeded, all words count as replaced
CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # scripts without spaces: each character is a word
LETTER = rf"(?:(?![{CJK}])[\p{{L}}\p{{N}}_][\p{{M}}\u200c\u200d]*)"
WORD = regex.compile(rf"{LETTER}+\s*|(?![{CJK}]|\s)\X\s*|[{CJK}]\p{{M}}*|\s+|\X")


def split_words(text: str) -> list[str]:
    """Split a text into words and punctuation marks, each with the whitespace after it."""
    return WORD.findall(text)


def alignment(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield the edits from one sequence to the other as counts of equal, removed and added items.

    The number of removed and added items is minimal (longest common subsequence).
    """
    start = first_diff(one, other)
    end = first_diff(one[start:][::-1], other[start:][::-1])
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    if len(left) * len(right) > LARGEST:
        yield start, len(left), len(right)
        if end:
            yield end, 0, 0
        return
    from rapidfuzz.distance import Indel

    same = start
    gone = new = 0
    for step in Indel.opcodes(left, right):
        if step.tag == "equal":
            if gone or new:
                yield same, gone, new
                same = gone = new = 0
            same += step.src_end - step.src_start
        else:
            gone += step.src_end - step.src_start
            new += step.dest_end - step.dest_start
    if gone or new:
        yield same, gone, new
        same = 0
    if same + end:
        yield same + end, 0, 0
