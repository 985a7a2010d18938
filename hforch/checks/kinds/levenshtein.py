"""`levenshtein`: the answer is similar to a string, by edit distance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from hforch.checks.base import Check, Column, Sample, Verdict, quoted
from hforch.errors import Mistake
from hforch.utils.strict_model import Count, Probability

BOUNDS = ("max_distance", "min_similarity")


class LevenshteinCheck(Check):
    kind: Literal["levenshtein"]
    value: str | Column
    max_distance: Count | None
    min_similarity: Probability | None

    passed_when = (
        "the answer is within `max_distance` edits of this string, or has a similarity of at least `min_similarity` "
        "(0 to 1)"
    )
    example = "{levenshtein: Paris, max_distance: 1}"
    defaults: ClassVar[Mapping[str, Any]] = {"negate": False, **dict.fromkeys(BOUNDS)}
    strips_value = True

    @classmethod
    def mistakes(cls, keys: Mapping[str, Any], path: str, strip: bool) -> Iterator[Mistake]:
        bounds = [key for key in BOUNDS if keys[key] is not None]
        if not bounds:
            hint = "add max_distance: 3 (edits), or min_similarity: 0.8 (1: equal)"
            yield Mistake(path, "levenshtein requires max_distance or min_similarity", hint=hint)
        elif len(bounds) > 1:
            problem = "levenshtein accepts only one of max_distance and min_similarity"
            yield Mistake(path, problem, hint="remove one")

    def judge(self, text: str, expected: Any, sample: Sample) -> Verdict:
        from rapidfuzz.distance import Levenshtein

        if self.max_distance is not None:
            distance = Levenshtein.distance(text, expected)
            seen = f"the answer is {quoted(text)}, {distance} edit{'s' * (distance != 1)} from {quoted(expected)}"
            return Verdict(distance <= self.max_distance, seen)
        similarity = Levenshtein.normalized_similarity(text, expected)
        assert self.min_similarity is not None
        seen = f"the answer is {quoted(text)}, similarity to {quoted(expected)}: {similarity:.3f}"
        return Verdict(similarity >= self.min_similarity, seen)

    def describe_value(self) -> str:
        bound = (
            f"distance {self.max_distance} or less"
            if self.max_distance is not None
            else f"similarity {self.min_similarity:g} or more"
        )
        return f"{super().describe_value()} ({bound})"


CHECK = LevenshteinCheck
