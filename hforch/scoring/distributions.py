"""Distributions over the next token: the likeliest tokens of a reference, kept in a file, and how far others are off.

Kept is, for each position, the log-probability of the k likeliest tokens, and what is left for all others together.
Over these k + 1 bins Kullback-Leibler divergence is never more than over the whole vocabulary (data processing
inequality), and the same computation over the same logits gives exactly 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from hforch.records.record_files import DISTRIBUTIONS
from hforch.scoring.preflight import MAGIC, describe_stored
from hforch.scoring.uncertainty import Mean, ratio_of_sums

UNFINISHED = f".{DISTRIBUTIONS}"
SMALLEST = 1e-12  # what all other tokens have together, at least: float32 cannot tell it from nothing

Array = numpy.ndarray[Any, Any]


def log_softmax_at(logits: Array, ids: Array) -> Array:
    """Log-probabilities of some tokens.

    Args:
        logits: float32, of shape (positions, vocabulary).
        ids: of shape (positions, k).

    Returns:
        float32 of shape (positions, k), in nats.
    """
    return (numpy.take_along_axis(logits, ids, axis=1) - normalizer(logits)[:, None]).astype(numpy.float32)


def normalizer(logits: Array) -> Array:
    """The logarithm of the sum of exponentials of each row, of shape (positions,).

    Raises:
        ValueError: there is none.
    """
    highest = logits.max(axis=1)
    if not numpy.isfinite(highest).all():
        raise ValueError("the model gives logits that are no numbers (NaN), or infinite")
    return highest + numpy.log(numpy.exp(logits - highest[:, None]).sum(axis=1, dtype=numpy.float32))


def likeliest(logits: Array, k: int) -> Array:
    """The k tokens with the highest logits of each row, the highest first, and the lowest id of equal ones, as greedy
    decoding has it; uint32 of shape (positions, k)."""
    if k < logits.shape[1]:
        some = numpy.sort(numpy.argpartition(logits, logits.shape[1] - k, axis=1)[:, -k:], axis=1)
    else:
        some = numpy.broadcast_to(numpy.arange(logits.shape[1]), logits.shape)
    order = numpy.argsort(-numpy.take_along_axis(logits, some, axis=1), axis=1, kind="stable")
    found = numpy.take_along_axis(some, order, axis=1).astype(numpy.uint32)
    found[:, 0] = logits.argmax(axis=1)  # of equal ones beyond the k-th, any may have been left out
    return found


def log_rest(log_probabilities: Array) -> Array:
    """The log-probability of all other tokens together; float64, of shape (positions,)."""
    rest = 1.0 - numpy.exp(log_probabilities.astype(numpy.float64)).sum(axis=1)
    return numpy.log(numpy.maximum(rest, SMALLEST))


def divergence(reference: Array, other: Array, whole: bool = False) -> Array:
    """KL(reference || other) of each position in nats, over the k tokens that are given and all others as one.

    Args:
        reference, other: log-probabilities of the same tokens, of shape (positions, k).
        whole: the k tokens are the whole vocabulary: there are no others.
    """
    p, q = reference.astype(numpy.float64), other.astype(numpy.float64)
    with numpy.errstate(invalid="ignore"):
        terms = numpy.exp(p) * (p - q)
    kl = numpy.where(numpy.isneginf(p), 0.0, terms).sum(axis=1)  # what cannot be adds nothing
    if not whole:
        rest, others = log_rest(reference), log_rest(other)
        kl = kl + numpy.exp(rest) * (rest - others)
    return numpy.maximum(kl, 0.0)  # rounding alone can make it negative


@dataclass(frozen=True)
class StoredDistributions:
    """The distributions of a reference.

    Attributes:
        about: what they are of: model, tokenizer, chunk, and for each text its identity and its tokens.
        ids: uint32, of shape (positions, k), the likeliest first.
        log_probabilities: float32, of the same shape.
    """

    about: Mapping[str, Any]
    ids: Array
    log_probabilities: Array


class DistributionWriter:
    """Writes distributions into a directory as they come."""

    def __init__(self, directory: Path, about: Mapping[str, Any], k: int) -> None:
        self.path = directory / DISTRIBUTIONS
        self._unfinished = directory / UNFINISHED
        self._file = self._unfinished.open("wb")
        head = json.dumps({**about, "k": k}).encode() + b"\n"
        self._file.write(MAGIC + head)
        self.positions = 0

    def add(self, ids: Array, log_probabilities: Array) -> None:
        """Add positions: both of shape (positions, k)."""
        for one, other in zip(ids.astype("<u4"), log_probabilities.astype("<f4"), strict=True):
            self._file.write(one.tobytes() + other.tobytes())
        self.positions += len(ids)

    def close(self, whole: bool) -> None:
        try:
            self._file.close()
            if whole:
                self._unfinished.replace(self.path)
        finally:
            self._unfinished.unlink(missing_ok=True)


def read_stored(directory: Path) -> StoredDistributions:
    """The distributions in a directory, mapped into memory and not read.

    Raises:
        OSError, ValueError: there are none, or they are damaged.
    """
    path = directory / DISTRIBUTIONS
    about = describe_stored(directory)
    start = about.pop("start")
    k = int(about["k"])
    kind = numpy.dtype([("ids", "<u4", (k,)), ("log_probabilities", "<f4", (k,))])
    left = path.stat().st_size - start
    if left % kind.itemsize:
        raise ValueError(f"{path} is cut off")
    whole = (
        numpy.memmap(path, kind, "r", offset=start, shape=(left // kind.itemsize,)) if left else numpy.empty(0, kind)
    )
    return StoredDistributions(about, whole["ids"], whole["log_probabilities"])


def clustered(samples: Sequence[Array]) -> Mean:
    """The mean over all positions of all samples, and its standard error, clustered by sample."""
    return ratio_of_sums([float(one.sum(dtype=numpy.float64)) for one in samples], [len(one) for one in samples])


def quantile(samples: Sequence[Array], share: float) -> Mean:
    """The value below which a share of all positions lies, and its standard error.

    Woodruff's method: how well the share of positions below that value is known, clustered by sample, read off at the
    quantiles that much higher and lower. See Woodruff, Confidence Intervals for Medians and Other Position Measures
    (1952).
    """
    everything = numpy.concatenate(samples)
    value = float(numpy.quantile(everything, share))
    below = clustered([one <= value for one in samples]).error
    if below is None:
        return Mean(value, None)
    low, high = numpy.quantile(everything, [max(0.0, share - below), min(1.0, share + below)])
    return Mean(value, float(high - low) / 2)
