"""KL divergence, stored distributions and standard errors, compared with closed forms."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy
import pytest

from hforch.scoring.distributions import (
    DistributionWriter,
    clustered,
    divergence,
    likeliest,
    log_softmax_at,
    read_stored,
)

DRAW = numpy.random.default_rng(0)


ABOUT = {"chunk": 32, "vocabulary": 8, "tokenizer": "digest", "of": "job"}


def logits(positions: int = 7, vocabulary: int = 50) -> numpy.ndarray:
    return DRAW.normal(0, 3, (positions, vocabulary)).astype(numpy.float32)


def kl(one: numpy.ndarray, other: numpy.ndarray, k: int) -> numpy.ndarray:
    ids = likeliest(one, k)
    whole = k >= one.shape[1]
    return divergence(log_softmax_at(one, ids), log_softmax_at(other, ids), whole)


def exact(one: numpy.ndarray, other: numpy.ndarray) -> numpy.ndarray:
    p, q = (x.astype(numpy.float64) for x in (one, other))
    p, q = (x - numpy.log(numpy.exp(x).sum(axis=1, keepdims=True)) for x in (p, q))
    return (numpy.exp(p) * (p - q)).sum(axis=1)


@pytest.mark.parametrize("k", [1, 5, 50])
def test_a_model_against_itself_gives_exactly_zero(k: int) -> None:
    one = logits()
    assert (kl(one, one.copy(), k) == 0.0).all()


def test_a_constant_added_to_one_logit_gives_the_analytic_divergence() -> None:
    one, added, token = logits(), 1.7, 3
    other = one.copy()
    other[:, token] += added
    p = numpy.exp(one[:, token].astype(numpy.float64)) / numpy.exp(one.astype(numpy.float64)).sum(axis=1)
    analytic = numpy.log(1 + p * (numpy.exp(added) - 1)) - p * added
    assert kl(one, other, 50) == pytest.approx(analytic, rel=1e-4, abs=1e-6)


def test_bins_never_exceed_the_full_divergence_and_converge_to_it() -> None:
    one, other = logits(), logits()
    full = exact(one, other)
    found = [kl(one, other, k) for k in (1, 2, 4, 8, 16, 32, 49, 50)]
    for smaller, larger in pairwise(found):
        assert (smaller <= larger + 1e-5).all()
    assert all((each <= full + 1e-5).all() for each in found)
    assert found[-1] == pytest.approx(full, rel=1e-4, abs=1e-6)


def test_the_most_likely_tokens_come_first() -> None:
    one = logits()
    assert (likeliest(one, 4) == numpy.argsort(-one, axis=1)[:, :4]).all()


def test_of_equal_logits_the_lowest_id_comes_first_as_in_greedy_decoding() -> None:
    one = numpy.zeros((3, 50), numpy.float32)
    one[1, [7, 9, 30]] = 2.0
    for k in (1, 2, 5):
        assert likeliest(one, k)[:, 0].tolist() == [0, 7, 0]


def test_stored_distributions_are_read_back_bit_for_bit(tmp_path: Path) -> None:
    keeper = DistributionWriter(tmp_path, ABOUT, 4)
    one = logits()
    ids = likeliest(one, 4)
    kept = log_softmax_at(one, ids)
    keeper.add(ids[:3], kept[:3])
    keeper.add(ids[3:], kept[3:])
    with pytest.raises(FileNotFoundError):
        read_stored(tmp_path)  # not before it is complete
    keeper.close(whole=True)
    found = read_stored(tmp_path)
    assert found.about == {**ABOUT, "k": 4}
    assert (found.ids == ids).all()
    assert (found.log_probabilities == kept).all()
    assert isinstance(found.ids.base, numpy.memmap)


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    keeper = DistributionWriter(tmp_path, ABOUT, 4)
    one = logits()
    ids = likeliest(one, 4)
    keeper.add(ids, log_softmax_at(one, ids))
    keeper.close(whole=True)
    keeper.path.write_bytes(keeper.path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="truncated"):
        read_stored(tmp_path)
    keeper.path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a distributions file"):
        read_stored(tmp_path)


def test_standard_errors_are_clustered_by_sample() -> None:
    alike = [numpy.full(10, value) for value in (1.0, 2.0, 3.0)]
    assert clustered(alike).value == 2.0
    assert clustered(alike).error == pytest.approx((3 / 2 * (100 + 0 + 100)) ** 0.5 / 30)
    assert clustered([numpy.arange(5.0)]).error is None
    # With one position per sample, it is the usual standard error of a mean.
    ones = [DRAW.normal(0, 1, 1) for _ in range(400)]
    usual = numpy.std(ones, ddof=1) / 20
    assert clustered(ones).error == pytest.approx(usual, rel=1e-6)
