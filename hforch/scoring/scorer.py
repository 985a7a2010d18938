"""Score tokens with the loaded model after generation; see docs/metrics.md."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hforch.backends.base import LoadedModel
from hforch.config.schema import Job
from hforch.errors import first_line
from hforch.generation.completion import Decode
from hforch.generation.logit_reader import LogitReader
from hforch.metrics.registry import AGAINST_BASELINE as METRICS_AGAINST_BASELINE
from hforch.records.measured import SCORE_PARTS, AgainstBaseline, OnText, ScoreMetrics, Scores
from hforch.records.record_files import SCORES, read_record, read_samples
from hforch.scoring.choices import Choices, is_greedy
from hforch.scoring.distributions import Array, DistributionWriter, likeliest, log_softmax_at, read_stored
from hforch.scoring.divergences import Compared, summary
from hforch.scoring.perplexity import not_on_text, on_text
from hforch.scoring.preflight import describe_stored
from hforch.scoring.token_reading import ScoredPart, ScoringError, Text, cut, read_rows, scoring
from hforch.utils.files import replacing
from hforch.utils.json_text import to_json
from hforch.utils.progress import Progress, Silent

Part = TypeVar("Part", AgainstBaseline, OnText)

ANSWERS = "answers of the baseline"
SILENT = Silent()
EMPTY = "all answers of the baseline are empty"


def score(
    job: Job, directory: Path, baseline: Path | None, loaded: LoadedModel, tokenizer: str, progress: Progress
) -> tuple[Scores, list[ScoringError]]:
    """Score a job after generation; return the scores for the record, and the errors of parts that failed.

    Args:
        baseline: the directory of the baseline job, which is the job's own if it is the baseline; None without one.
        tokenizer: the identity of the job's tokenizer.
        progress: receives the number of scored answers, and of scored parts of the text.
    """
    assert loaded.logit_reader is not None
    started = time.perf_counter()
    logit_reader = loaded.logit_reader()
    found = Scores(read_by=logit_reader.about, chunk=job.scoring.chunk)
    metrics: dict[str, float | None] = {}
    failed: list[ScoringError] = []

    def scored(work: Callable[[], ScoredPart[Part]], otherwise: Callable[[str], Part]) -> Part:
        try:
            one = work()
        except ScoringError as error:  # continue with the other part
            failed.append(error)
            return otherwise(str(error))
        metrics.update(one.metrics)
        return one.part

    try:
        if job.scoring.baseline is not None:
            against = partial(_against, job, directory, baseline, loaded, logit_reader, tokenizer, progress)
            found.against_baseline = scored(against, not_against_baseline)
        if job.scoring.text is not None:
            found.on_text = scored(partial(on_text, job, logit_reader, loaded.engine, progress), not_on_text)
    finally:
        logit_reader.close()
    found.metrics = ScoreMetrics(**metrics)
    found.seconds = round(time.perf_counter() - started, 3)
    return found, failed


def _against(
    job: Job,
    directory: Path,
    baseline: Path | None,
    loaded: LoadedModel,
    logit_reader: LogitReader,
    tokenizer: str,
    progress: Progress,
) -> ScoredPart[AgainstBaseline]:
    if baseline is None:
        return ScoredPart(not_against_baseline("no baseline: no other job differs only in how its model is loaded"))
    own = answers(directory) if is_greedy(loaded.engine.decoding(job.generation)) else None
    if baseline.resolve() == directory.resolve():
        found = keep_baseline(job, directory, logit_reader, tokenizer, own is not None, progress)
    else:
        engine = loaded.engine
        decode, context = engine.vocabulary().decode, engine.context_length
        found = against_baseline(job, directory, baseline, logit_reader, tokenizer, decode, context, own, progress)
    found.part.baseline = os.path.relpath(baseline, directory)
    return found


def keep_baseline(
    job: Job,
    directory: Path,
    logit_reader: LogitReader,
    tokenizer: str,
    greedy: bool = False,
    progress: Progress = SILENT,
) -> ScoredPart[AgainstBaseline]:
    """Score the baseline's own answers, and store the distributions for the jobs that are compared with it.

    Args:
        tokenizer: the identity of the tokenizer; jobs with a different tokenizer cannot be compared.
        greedy: whether the job always chose the most likely token.
        progress: receives the number of scored answers.

    Raises:
        ScoringError: there are no answers, or the vocabulary is smaller than top_k.
    """
    assert job.scoring.baseline is not None
    k = job.scoring.baseline.top_k
    if k > logit_reader.vocabulary:
        raise ScoringError(f"scoring.baseline.top_k is {k}, but the model has only {logit_reader.vocabulary} logits")
    texts = answers(directory)
    digest = digest_of_texts(texts)
    about = {
        "tokenizer": tokenizer,
        "vocabulary": logit_reader.vocabulary,
        "chunk": job.scoring.chunk,
        "of": digest,
    }
    keeper, whole = DistributionWriter(directory, about, k), False
    choices = {id(one): Choices.of(one.ids, one.ids) for one in texts} if greedy else {}
    batches = list(cut(texts, job.scoring.batch_size))
    try:
        with scoring(progress, ANSWERS, batches) as advance:
            for batch in batches:
                chosen = [choices.get(id(one)) for one in batch]

                def keep(
                    row: int, start: int, logits: Array, chosen: list[Choices | None] = chosen
                ) -> tuple[Array, Array]:
                    if (one := chosen[row]) is not None:
                        one.add(start, logits)
                    return _likeliest(logits, k)

                for parts in read_rows(logit_reader, batch, job.scoring.chunk, keep):
                    for ids, log_probabilities in parts:
                        keeper.add(ids, log_probabilities)
                advance(len(batch))
        whole = True
    finally:
        keeper.close(whole)
    size = round(keeper.path.stat().st_size / 1e6, 3)
    part = AgainstBaseline(texts=len(texts), positions=keeper.positions, of=digest, size_mb=size)
    part.contradicted = contradicted(choices.values())
    if not texts:
        part.absent = not_against_baseline(EMPTY).absent
        return ScoredPart(part)
    return ScoredPart(part, {metric.name: metric.value_for_baseline for metric in METRICS_AGAINST_BASELINE})


def against_baseline(
    job: Job,
    directory: Path,
    baseline: Path,
    logit_reader: LogitReader,
    tokenizer: str,
    decode: Decode,
    context: int | None = None,
    own: Sequence[Text] | None = None,
    progress: Progress = SILENT,
) -> ScoredPart[AgainstBaseline]:
    """Score the baseline's answers, and compare the next-token distributions with the baseline's.

    Args:
        context: the context length of the model in tokens; None if unlimited.
        own: the job's answers if it always chose the most likely token, to compare them with its distributions.
        progress: receives the number of scored answers.

    Raises:
        ScoringError: the baseline has no distributions, or they do not match its answers.
    """
    try:
        kept = read_stored(baseline)
    except (OSError, ValueError) as error:
        raise ScoringError(f"the baseline {baseline} has no distributions to compare with: {_why(baseline)}") from error
    of = kept.about["of"]
    if reason := _not_comparable(kept.about, logit_reader, tokenizer):
        return ScoredPart(not_against_baseline(reason, of))
    texts = answers(baseline)
    if digest_of_texts(texts) != of:
        raise ScoringError(f"the distributions of the baseline {baseline} do not match its answers")
    if not texts:
        return ScoredPart(not_against_baseline(EMPTY, of))
    longest = max(len(one.prompt) + len(one.ids) for one in texts)
    if context is not None and longest > context:
        reason = f"a baseline answer with its prompt has {longest} tokens; the context of this model is {context}"
        return ScoredPart(not_against_baseline(reason, of))
    ids = {one.id: one for one in own or ()}
    per_sample = [
        Compared(one, start, kept, decode, _choices(ids.get(one.id), one))
        for one, start in zip(texts, _starts(texts), strict=True)
    ]
    place = {id(one.text): one for one in per_sample}
    batches = list(cut(texts, job.scoring.batch_size))
    with scoring(progress, ANSWERS, batches) as advance:
        for batch in batches:
            compared = [place[id(one)] for one in batch]

            def compare(row: int, start: int, logits: Array, compared: list[Compared] = compared) -> None:
                compared[row].add(start, logits)

            read_rows(logit_reader, batch, job.scoring.chunk, compare)
            advance(len(batch))
    with replacing(directory / SCORES) as file:
        for one in per_sample:
            file.write(to_json(one.record()) + "\n")
    found = summary(per_sample)
    found.part.contradicted = contradicted([one.choices for one in per_sample if one.choices])
    found.part.of = of
    return found


def not_against_baseline(reason: str, of: str | None = None) -> AgainstBaseline:
    """Return the part of the record for a job that was not scored against a baseline.

    Args:
        of: the digest of the baseline's answers, if any.
    """
    part = AgainstBaseline(absent=dict.fromkeys(SCORE_PARTS["against_baseline"], reason))
    if of is not None:
        part.of = of
    return part


def not_scored(job: Job, directory: Path, baseline: Path | None, reason: str) -> Scores:
    """Return the scores of a job that cannot be scored.

    Args:
        baseline: as for `score`.
    """
    found = Scores(whole=True)
    if job.scoring.baseline is not None:
        of = None
        if baseline is not None:
            with suppress(OSError, ValueError):
                of = str(describe_stored(baseline)["of"])
        found.against_baseline = not_against_baseline(reason, of)
        if baseline is not None:
            found.against_baseline.baseline = os.path.relpath(baseline, directory)
    if job.scoring.text is not None:
        found.on_text = not_on_text(reason)
    return found


def answers(directory: Path) -> list[Text]:
    """Return a job's answers of the first repeat in input order, without empty ones.

    Raises:
        ScoringError: no sample succeeded.
    """
    found = {
        sample["index"]: Text(sample["input_id"], sample["prompt_ids"], sample["output_ids"])
        for sample in read_samples(directory)
        if sample["repeat"] == 0 and sample["error"] is None
    }
    texts = [found[index] for index in sorted(found) if found[index].ids]
    if not found:
        raise ScoringError(f"no answers to score in {directory}: {_why(directory)}")
    return texts


def contradicted(choices: Collection[Choices]) -> int | None:
    """Return the number of answers that contradict the logits; None without answers to compare."""
    return sum(one.position is not None for one in choices) if choices else None


def _choices(own: Text | None, text: Text) -> Choices | None:
    """Return the choices of a job's answer while the baseline's is read; None if their prompts differ."""
    return Choices.of(own.ids, text.ids) if own and list(own.prompt) == list(text.prompt) else None


def digest_of_texts(texts: Sequence[Text]) -> str:
    """Return a digest that identifies the answers of a baseline."""
    content = [[one.id, list(one.prompt), list(one.ids)] for one in texts]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _why(directory: Path) -> str:
    try:
        record = read_record(directory)
    except (OSError, ValueError):
        return "the job was not run"
    scores = (record.get("scores") or {}).get("against_baseline") or {}
    unscored = next(iter((scores.get("absent") or {}).values()), None)
    error = (record.get("error") or {}).get("message") or unscored
    totals = record.get("totals") or {}
    failed = f"{totals['failed']} of {totals.get('samples')} samples failed" if totals.get("failed") else None
    return first_line(str(error or failed or f"status {record.get('status')}"))


def _not_comparable(about: Mapping[str, Any], logit_reader: LogitReader, tokenizer: str) -> str | None:
    if about["tokenizer"] != tokenizer:
        return "the baseline has a different tokenizer"
    if about["vocabulary"] != logit_reader.vocabulary:
        return (
            f"vocabulary sizes differ: {about['vocabulary']} in the baseline, {logit_reader.vocabulary} in this model"
        )
    return None


def _likeliest(logits: Array, k: int) -> tuple[Array, Array]:
    ids = likeliest(logits, k)
    return ids, log_softmax_at(logits, ids)


def _starts(texts: Sequence[Text]) -> Iterator[int]:
    at = 0
    for one in texts:
        yield at
        at += len(one.ids)
