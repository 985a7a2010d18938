"""How similar the texts of two jobs are: chrF and edit similarity, over all inputs and by input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from hforch.statistics.units import Units

LONGEST = 100_000  # maximum number of compared characters: edit distance takes quadratic time, and chrF seconds


class TextSimilarity:
    """The similarity of pairs of texts, each a text of the baseline and one of a job."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs = [(base[:LONGEST], text[:LONGEST]) for base, text in pairs]

    @property
    def metrics(self) -> dict[str, float | None]:
        """chrF (0 to 100, sacrebleu, over all pairs as one corpus) and mean edit similarity (0 to 1, rapidfuzz)."""
        if not self._pairs:
            return {"chrf": None, "similarity": None}
        if self._are_equal:
            return {"chrf": 100.0, "similarity": 1.0}
        similar = self._similarities
        return {"chrf": round(_chrf(self._chrf_counts), 2), "similarity": round(sum(similar) / len(similar), 4)}

    def by_input(self, ids: Sequence[str], places: dict[str, int]) -> dict[str, Units]:
        """Return the contribution of each input to both metrics.

        chrF is not a mean of inputs, so its contributions are the pseudo-values of the jackknife, shifted so that their
        mean is chrF (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982, chapter 2).

        Args:
            ids: the input of each pair.
            places: the positions of inputs in the result.
        """
        if not self._pairs:
            return {}
        similarity, chrf = Units(places), Units(places)
        if self._are_equal:
            for one in ids:
                similarity.add(one, 1.0)
            for one in dict.fromkeys(ids):
                chrf.add(one, 100.0)
            return {"similarity": similarity, "chrf": chrf}
        for one, value in zip(ids, self._similarities, strict=True):
            similarity.add(one, value)
        counts: dict[str, list[int]] = {}
        for one, found in zip(ids, self._chrf_counts, strict=True):
            counts[one] = _added(counts[one], found) if one in counts else found
        for one, value in zip(counts, _pseudo_values(list(counts.values())), strict=True):
            chrf.add(one, value)
        return {"similarity": similarity, "chrf": chrf}

    @cached_property
    def _are_equal(self) -> bool:
        return all(base == text for base, text in self._pairs)

    @cached_property
    def _similarities(self) -> list[float]:
        from rapidfuzz.distance import Levenshtein

        return [Levenshtein.normalized_similarity(base, text) for base, text in self._pairs]

    @cached_property
    def _chrf_counts(self) -> list[list[int]]:
        """The numbers of n-grams of each pair by order: in the text, in the baseline's, in both."""
        from sacrebleu.metrics import CHRF

        texts, bases = [text for _, text in self._pairs], [base for base, _ in self._pairs]
        found: list[list[int]] = CHRF()._extract_corpus_statistics(texts, [bases])
        return found


def _chrf(counts: Sequence[Sequence[int]]) -> float:
    return _of_total([sum(column) for column in zip(*counts, strict=True)])


def _of_total(total: Sequence[int]) -> float:
    from sacrebleu.metrics import CHRF

    return float(CHRF()._aggregate_and_compute([list(total)]).score)


def _pseudo_values(counts: Sequence[Sequence[int]]) -> list[float]:
    total = [sum(column) for column in zip(*counts, strict=True)]
    whole, n = _of_total(total), len(counts)
    if n == 1:
        return [whole]
    without = [_of_total([a - b for a, b in zip(total, one, strict=True)]) for one in counts]
    mean = sum(without) / n
    return [whole + (n - 1) * (mean - one) for one in without]


def _added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]
