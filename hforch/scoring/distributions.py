"""Store next-token distributions of a baseline, and compute the KL divergence of others from them.

For each position, the file has the log-probabilities of the k most likely tokens; the remaining probability is that of
all others together. The Kullback-Leibler divergence over these k + 1 bins is at most that over the whole vocabulary
(data processing inequality), and the same computation on the same logits gives exactly 0.
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
SMALLEST = 1e-12  # minimum probability of all other tokens together; float32 cannot distinguish less from 0

Array = numpy.ndarray[Any, Any]


def log_softmax_at(logits: Array, ids: Array) -> Array:
    """Return the log-probabilities of the tokens `ids`.

    Args:
        logits: float32 of shape (positions, vocabulary).
        ids: token ids of shape (positions, k).

    Returns:
        float32 of shape (positions, k), in nats.
    """
    return (numpy.take_along_axis(logits, ids, axis=1) - normalizer(logits)[:, None]).astype(numpy.float32)


def normalizer(logits: Array) -> Array:
    """Return the log-sum-exp of each row, of shape (positions,).

    Raises:
        ValueError: a row's maximum is NaN or infinite.
    """
    highest = logits.max(axis=1)
    if not numpy.isfinite(highest).all():
        raise ValueError("the model returned NaN or infinite logits")
    return highest + numpy.log(numpy.exp(logits - highest[:, None]).sum(axis=1, dtype=numpy.float32))


def likeliest(logits: Array, k: int) -> Array:
    """Return the k tokens with the highest logits of each row, highest first, as uint32 of shape (positions, k).

    Among equal logits, the lowest id comes first, as in greedy decoding.
    """
    if k < logits.shape[1]:
        some = numpy.sort(numpy.argpartition(logits, logits.shape[1] - k, axis=1)[:, -k:], axis=1)
    else:
        some = numpy.broadcast_to(numpy.arange(logits.shape[1]), logits.shape)
    order = numpy.argsort(-numpy.take_along_axis(logits, some, axis=1), axis=1, kind="stable")
    found = numpy.take_along_axis(some, order, axis=1).astype(numpy.uint32)
    found[:, 0] = logits.argmax(axis=1)  # argpartition may omit any of the tokens that tie for the k-th place
    return found


def log_rest(log_probabilities: Array) -> Array:
    """Return the log-probability of all other tokens together, as float64 of shape (positions,)."""
    rest = 1.0 - numpy.exp(log_probabilities.astype(numpy.float64)).sum(axis=1)
    return numpy.log(numpy.maximum(rest, SMALLEST))


def divergence(reference: Array, other: Array, whole: bool = False) -> Array:
    """Return KL(reference || other) of each position in nats, over the k tokens and one bin for all others.

    Args:
        reference, other: log-probabilities of the same tokens, of shape (positions, k).
        whole: whether the k tokens are the whole vocabulary, so that no others exist.
    """
    p, q = reference.astype(numpy.float64), other.astype(numpy.float64)
    with numpy.errstate(invalid="ignore"):
        terms = numpy.exp(p) * (p - q)
    kl = numpy.where(numpy.isneginf(p), 0.0, terms).sum(axis=1)  # p = 0 contributes 0
    if not whole:
        rest, others = log_rest(reference), log_rest(other)
        kl = kl + numpy.exp(rest) * (rest - others)
    return numpy.maximum(kl, 0.0)  # it is negative only through rounding


@dataclass(frozen=True)
class StoredDistributions:
    """The stored distributions of a baseline.

    Attributes:
        about: the header: tokenizer, vocabulary size, chunk, k, and the digest of the answers.
        ids: uint32 of shape (positions, k), most likely first.
        log_probabilities: float32 of the same shape.
    """

    about: Mapping[str, Any]
    ids: Array
    log_probabilities: Array


class DistributionWriter:
    """Writes distributions to a directory, position by position."""

    def __init__(self, directory: Path, about: Mapping[str, Any], k: int) -> None:
        self.path = directory / DISTRIBUTIONS
        self._unfinished = directory / UNFINISHED
        self._file = self._unfinished.open("wb")
        head = json.dumps({**about, "k": k}).encode() + b"\n"
        self._file.write(MAGIC + head)
        self.positions = 0

    def add(self, ids: Array, log_probabilities: Array) -> None:
        """Add positions; both arrays have the shape (positions, k)."""
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
    """Return the distributions in a directory, memory-mapped.

    Raises:
        OSError, ValueError: the file cannot be read or is damaged.
    """
    path = directory / DISTRIBUTIONS
    about = describe_stored(directory)
    start = about.pop("start")
    k = int(about["k"])
    kind = numpy.dtype([("ids", "<u4", (k,)), ("log_probabilities", "<f4", (k,))])
    left = path.stat().st_size - start
    if left % kind.itemsize:
        raise ValueError(f"{path} is truncated")
    whole = (
        numpy.memmap(path, kind, "r", offset=start, shape=(left // kind.itemsize,)) if left else numpy.empty(0, kind)
    )
    return StoredDistributions(about, whole["ids"], whole["log_probabilities"])


def clustered(samples: Sequence[Array]) -> Mean:
    """Return the mean over all positions of all samples, with its standard error clustered by sample."""
    return ratio_of_sums([float(one.sum(dtype=numpy.float64)) for one in samples], [len(one) for one in samples])


def quantile(samples: Sequence[Array], share: float) -> Mean:
    """Return a quantile over all positions of all samples, and its standard error.

    The error is computed by Woodruff's method: the standard error of the fraction of positions below the quantile,
    clustered by sample, is converted to the distance between the quantiles that much higher and lower. See Woodruff,
    Confidence Intervals for Medians and Other Position Measures (1952).

    Args:
        share: the quantile, from 0 to 1.
    """
    everything = numpy.concatenate(samples)
    value = float(numpy.quantile(everything, share))
    below = clustered([one <= value for one in samples]).error
    if below is None:
        return Mean(value, None)
    low, high = numpy.quantile(everything, [max(0.0, share - below), min(1.0, share + below)])
    return Mean(value, float(high - low) / 2)
