"""Scoring: what the loaded model makes of given tokens, once the answers are there. See docs/metrics.md."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from pathlib import Path
from typing import Any

import numpy

from hforch.backends.base import LoadedModel
from hforch.config.schema import Job
from hforch.generation.completion import Decode
from hforch.generation.logit_reader import LogitReader
from hforch.metrics import registry
from hforch.records.record_files import SCORES, read_record, read_samples, to_json
from hforch.scoring.distributions import (
    Array,
    DistributionWriter,
    StoredDistributions,
    clustered,
    divergence,
    likeliest,
    log_softmax_at,
    normalizer,
    quantile,
    read_stored,
)
from hforch.scoring.perplexity import on_text
from hforch.scoring.token_reading import Scores, ScoringError, Text, cut, read_rows, rounded
from hforch.utils.files import replacing

EARLY = 16  # positions, for flips_early
WORST, SHOWN_TOKENS = 3, 5  # positions of a sample that are kept in full, and tokens of each
BEFORE = 12  # tokens before such a position that are kept with it, as text
AGAINST_BASELINE = tuple(metric.name for metric in registry.AGAINST_BASELINE)
ON_TEXT = tuple(metric.name for metric in registry.ON_TEXT)
EMPTY = "all answers of the baseline are empty"


def score(
    job: Job, directory: Path, baseline: Path | None, loaded: LoadedModel, tokenizer: str
) -> tuple[dict[str, Any], list[ScoringError]]:
    """Score a job that has answered; what the record says of it, and why a part of that could not be scored.

    Args:
        baseline: the directory of the job that this one is compared with; its own for a baseline; None if there is
            none.
        tokenizer: what tells its tokenizer from others.
    """
    assert loaded.logit_reader is not None
    started = time.perf_counter()
    logit_reader = loaded.logit_reader()
    found: dict[str, Any] = {"read_by": logit_reader.about, "chunk": job.scoring.chunk}
    parts, failed = [], []
    try:
        for name, metrics, work in _parts(job, directory, baseline, loaded, logit_reader, tokenizer):
            try:
                parts.append((name, work()))
            except ScoringError as error:  # the other part is kept
                failed.append(error)
                parts.append((name, Scores(absent=dict.fromkeys(metrics, str(error)))))
    finally:
        logit_reader.close()
    for name, one in parts:
        found[name] = one.about
    found["metrics"] = {name: value for _, one in parts for name, value in one.metrics.items()}
    found["absent"] = {name: why for _, one in parts for name, why in one.absent.items()}
    return found | {"seconds": round(time.perf_counter() - started, 3)}, failed


def _parts(
    job: Job, directory: Path, baseline: Path | None, loaded: LoadedModel, logit_reader: LogitReader, tokenizer: str
) -> Iterator[tuple[str, Sequence[str], Callable[[], Scores]]]:
    """What is to be scored: its name in the record, its metrics, and the work."""

    def against() -> Scores:
        if baseline is None:
            return Scores(absent=dict.fromkeys(AGAINST_BASELINE, "no other job differs in how its model is loaded"))
        if baseline.resolve() == directory.resolve():
            found = keep_baseline(job, directory, logit_reader, tokenizer)
        else:
            engine = loaded.engine
            decode, context = engine.vocabulary().decode, engine.context_length
            found = against_baseline(job, directory, baseline, logit_reader, tokenizer, decode, context)
        found.about["baseline"] = os.path.relpath(baseline, directory)
        return found

    if job.scoring.baseline is not None:
        yield "against_baseline", AGAINST_BASELINE, against
    if job.scoring.text is not None:
        yield "on_text", ON_TEXT, lambda: on_text(job, logit_reader, loaded.engine)


def keep_baseline(job: Job, directory: Path, logit_reader: LogitReader, tokenizer: str) -> Scores:
    """Read the job's own answers, and keep the distributions for the jobs that are compared with it.

    Args:
        tokenizer: its identity; jobs with another one cannot be compared.

    Raises:
        ScoringError: there is nothing to read, or it cannot be kept.
    """
    assert job.scoring.baseline is not None
    k = job.scoring.baseline.top_k
    if k > logit_reader.vocabulary:
        raise ScoringError(f"scoring.baseline.top_k is {k}, and the model gives {logit_reader.vocabulary} logits")
    texts = answers(directory)
    about = {
        "tokenizer": tokenizer,
        "vocabulary": logit_reader.vocabulary,
        "chunk": job.scoring.chunk,
        "of": digest_of_texts(texts),
    }
    keeper, whole = DistributionWriter(directory, about, k), False
    try:
        for batch in cut(texts, job.scoring.batch_size):
            kept = read_rows(logit_reader, batch, job.scoring.chunk, lambda row, start, logits: _likeliest(logits, k))
            for parts in kept:
                for ids, log_probabilities in parts:
                    keeper.add(ids, log_probabilities)
        whole = True
    finally:
        keeper.close(whole)
    found = Scores(about={"texts": len(texts), "positions": keeper.positions, "of": about["of"]})
    found.about["size_mb"] = round(keeper.path.stat().st_size / 1e6, 3)
    if not texts:
        return Scores(absent=dict.fromkeys(AGAINST_BASELINE, EMPTY), about=found.about)
    found.metrics |= {metric.name: metric.of_itself for metric in registry.AGAINST_BASELINE}
    return found


def against_baseline(
    job: Job,
    directory: Path,
    baseline: Path,
    logit_reader: LogitReader,
    tokenizer: str,
    decode: Decode,
    context: int | None = None,
) -> Scores:
    """Read the baseline's answers, and say how far the next-token distributions are from the baseline's.

    Args:
        context: how many tokens the model can read; None if that has no bound.

    Raises:
        ScoringError: the baseline has left nothing to compare with.
    """
    try:
        kept = read_stored(baseline)
    except (OSError, ValueError) as error:
        raise ScoringError(f"the baseline {baseline} has no distributions to compare with: {_why(baseline)}") from error
    if reason := _not_comparable(kept.about, logit_reader, tokenizer):
        return Scores(absent=dict.fromkeys(AGAINST_BASELINE, reason), about={"of": kept.about.get("of")})
    texts = answers(baseline)
    if digest_of_texts(texts) != kept.about.get("of"):
        raise ScoringError(f"the baseline {baseline} has other answers than its distributions are of")
    if not texts:
        return Scores(absent=dict.fromkeys(AGAINST_BASELINE, EMPTY), about={"of": kept.about["of"]})
    longest = max(len(one.prompt) + len(one.ids) for one in texts)
    if context is not None and longest > context:
        reason = f"an answer of the baseline's has {longest} tokens with its prompt, and this model reads {context}"
        return Scores(absent=dict.fromkeys(AGAINST_BASELINE, reason), about={"of": kept.about["of"]})
    per_sample = [Compared(one, start, kept, decode) for one, start in zip(texts, _starts(texts), strict=True)]
    place = {id(one.text): one for one in per_sample}
    for batch in cut(texts, job.scoring.batch_size):
        compared = [place[id(one)] for one in batch]

        def compare(row: int, start: int, logits: Array, compared: list[Compared] = compared) -> None:
            compared[row].add(start, logits)

        read_rows(logit_reader, batch, job.scoring.chunk, compare)
    with replacing(directory / SCORES) as file:
        for one in per_sample:
            file.write(to_json(one.record()) + "\n")
    found = _summary(per_sample)
    found.about["of"] = kept.about["of"]
    return found


@dataclass
class Compared:
    """One text of the baseline's, as the job reads it.

    Attributes:
        start: its first position in what the baseline has kept.
        decode: token ids to text.
    """

    text: Text
    start: int
    kept: StoredDistributions
    decode: Decode
    divergences: list[Array] = field(default_factory=list)
    agreed: list[Array] = field(default_factory=list)
    worst: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)

    def add(self, start: int, logits: Array) -> None:
        """Positions from `start` on; logits of shape (positions, vocabulary)."""
        here = slice(self.start + start, self.start + start + len(logits))
        ids, reference = numpy.asarray(self.kept.ids[here]), numpy.asarray(self.kept.log_probabilities[here])
        log_normalizer = normalizer(logits)
        own = (numpy.take_along_axis(logits, ids, axis=1) - log_normalizer[:, None]).astype(numpy.float32)
        kl = divergence(reference, own, whole=ids.shape[1] == logits.shape[1])
        first = logits.argmax(axis=1)
        if not numpy.isfinite(kl).all():
            raise ValueError("a token that the baseline finds possible is impossible for this model")
        self.divergences.append(kl)
        self.agreed.append(first == ids[:, 0])
        for at in numpy.argsort(-kl)[:WORST]:
            if len(self.worst) < WORST or kl[at] > self.worst[0][0]:
                entry = (float(kl[at]), start + int(at), self._both(start + int(at), at, logits, log_normalizer, here))
                (heappush if len(self.worst) < WORST else heappushpop)(self.worst, entry)

    def _both(self, position: int, at: int, logits: Array, log_normalizer: Array, here: slice) -> dict[str, Any]:
        own = likeliest(logits[at : at + 1], SHOWN_TOKENS)[0]
        theirs = self.kept.ids[here][at][:SHOWN_TOKENS]
        log_theirs = self.kept.log_probabilities[here][at][:SHOWN_TOKENS]
        pairs = zip(own, logits[at][own] - log_normalizer[at], strict=True)
        return {
            "position": position,
            "before": self.decode([*self.text.ids[max(0, position - BEFORE) : position]]),
            "read": self._token(self.text.ids[position]),
            "baseline": [self._token(*one) for one in zip(theirs, log_theirs, strict=True)],
            "job": [self._token(*one) for one in pairs],
        }

    def _token(self, token: int, log_probability: float | None = None) -> dict[str, Any]:
        told = {"id": int(token), "text": self.decode([int(token)])}
        return told if log_probability is None else told | {"log_probability": round(float(log_probability), 4)}

    @property
    def kl(self) -> Array:
        return numpy.concatenate(self.divergences)

    @property
    def agreement(self) -> Array:
        return numpy.concatenate(self.agreed)

    def record(self) -> dict[str, Any]:
        flips = numpy.flatnonzero(~self.agreement)
        return {
            "input_id": self.text.id,
            "positions": len(self.text.ids),
            "kl_mean": round(float(self.kl.mean()), 6),
            "kl_max": round(float(self.kl.max()), 6),
            "flips": [int(one) for one in flips],
            "worst": [{"kl": round(kl, 6), **both} for kl, _, both in sorted(self.worst, key=lambda one: -one[0])],
        }


def _summary(found: Sequence[Compared]) -> Scores:
    kls, agreed = [one.kl for one in found], [one.agreement for one in found]
    kl, agreement, p99 = clustered(kls), clustered(agreed), quantile(kls, 0.99)
    early = [numpy.array([not one[:EARLY].all()]) for one in agreed]
    flips = clustered(early)
    metrics: dict[str, float | None] = {
        "kl_mean": kl.value,
        "kl_mean_se": kl.error,
        "kl_p99": p99.value,
        "kl_p99_se": p99.error,
        "kl_max": max(float(one.max()) for one in kls),
        "top1_agreement": agreement.value,
        "top1_agreement_se": agreement.error,
        "flips_early": flips.value,
        "flips_early_se": flips.error,
    }
    return Scores(rounded(metrics), {}, {"texts": len(found), "positions": sum(map(len, kls))})


def answers(directory: Path) -> list[Text]:
    """What a job has answered, the first time each input was asked; answers of no tokens have no positions.

    Raises:
        ScoringError: it has answered nothing.
    """
    found = {
        sample["index"]: Text(sample["input_id"], sample["prompt_ids"], sample["output_ids"])
        for sample in read_samples(directory)
        if sample["repeat"] == 0 and sample["error"] is None
    }
    texts = [found[index] for index in sorted(found) if found[index].ids]
    if not found:
        raise ScoringError(f"{directory} has no answers to read: {_why(directory)}")
    return texts


def digest_of_texts(texts: Sequence[Text]) -> str:
    """What tells the answers that distributions are of from others."""
    told = [[one.id, list(one.prompt), list(one.ids)] for one in texts]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _why(directory: Path) -> str:
    try:
        record = read_record(directory)
    except (OSError, ValueError):
        return "it has not been run"
    error = (record.get("error") or {}).get("message")
    totals = record.get("totals") or {}
    failed = f"{totals['failed']} of its {totals.get('samples')} samples failed" if totals.get("failed") else None
    return str(error or failed or f"its status is {record.get('status')}").splitlines()[0]


def _not_comparable(about: Mapping[str, Any], logit_reader: LogitReader, tokenizer: str) -> str | None:
    if about["tokenizer"] != tokenizer:
        return "the baseline has another tokenizer"
    if about["vocabulary"] != logit_reader.vocabulary:
        return f"the baseline's vocabulary has {about['vocabulary']} tokens, and this model's {logit_reader.vocabulary}"
    return None


def _likeliest(logits: Array, k: int) -> tuple[Array, Array]:
    ids = likeliest(logits, k)
    return ids, log_softmax_at(logits, ids)


def _starts(texts: Sequence[Text]) -> Iterator[int]:
    at = 0
    for one in texts:
        yield at
        at += len(one.ids)
