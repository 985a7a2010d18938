"""Compute the perplexity and bits per byte of a text."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy

from hforch.config.schema import Job
from hforch.generation.completion import Decode, Vocabulary
from hforch.generation.engine import Engine, RenderedChat
from hforch.generation.logit_reader import LogitReader
from hforch.records.measured import SCORE_PARTS, OnText
from hforch.scoring.distributions import Array, clustered, normalizer
from hforch.scoring.preflight import load_text
from hforch.scoring.token_reading import ScoredPart, ScoringError, Text, cut, read_rows, rounded, scoring
from hforch.utils.progress import Progress

LARGEST = 700.0  # nats per token; above it, perplexity overflows a float
MOST_PIECES = 8  # maximum number of tokens in one character


def on_text(job: Job, logit_reader: LogitReader, engine: Engine, progress: Progress) -> ScoredPart[OnText]:
    """Return perplexity and bits per byte of a text; each token is scored once, given its context.

    Special tokens that the tokenizer adds before the text are the context of its first token; without any, the first
    token itself is not scored. Special tokens that it adds after the text are omitted.
    Of a text with more than `scoring.text.max_tokens` tokens, only the first ones are scored.

    Raises:
        ConfigError: the text cannot be read.
    """
    asked = job.scoring.text
    assert asked is not None
    text = load_text(asked)
    vocabulary = engine.vocabulary()
    before, whole, after = _encoded(text, engine)
    ids = whole_characters(whole, asked.max_tokens, vocabulary.decode)
    if len(ids) < len(whole):
        text = vocabulary.decode(ids)
    context = len(before) or 1
    window = min(asked.window, engine.context_length or asked.window)
    first, *others = windows([*before, *ids], window, min(asked.stride or window // 2, window - 1), context)
    per_window: list[Array] = []
    # The first window is longer than the others, which would need padding.
    batches = [[first], *cut(others, job.scoring.batch_size)]
    with scoring(progress, "windows of a text", batches) as advance:
        for batch in batches:

            def look(row: int, start: int, logits: Array, batch: Sequence[Text] = batch) -> Array:
                tokens = numpy.array(batch[row].ids[start : start + len(logits)])[:, None]
                return normalizer(logits).astype(numpy.float64) - numpy.take_along_axis(logits, tokens, axis=1)[:, 0]

            rows = read_rows(logit_reader, batch, job.scoring.chunk, look)
            per_window += [numpy.concatenate(parts) for parts in rows]
            advance(len(batch))
    size = len(text.encode()) - (0 if before else _bytes_of_first(ids, vocabulary))
    tokens = len(before) + len(ids) - context
    mean = clustered(per_window)
    if not mean.value < LARGEST or size <= 0:
        reason = (
            "the text has only one character"
            if size <= 0
            else "the text's tokens are too unlikely: perplexity overflows"
        )
        return ScoredPart(not_on_text(reason))
    bits = mean.value * tokens / math.log(2) / size
    metrics: dict[str, float | None] = {
        "ppl": math.exp(mean.value),
        "ppl_se": None if mean.error is None else math.exp(mean.value) * mean.error,
        "bits_per_byte": bits,
        "bits_per_byte_se": None if mean.error is None or not mean.value else bits * mean.error / mean.value,
    }
    part = OnText(
        path=asked.path,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        tokens=tokens,
        added_before=[vocabulary.special.get(one, vocabulary.decode([one])) for one in before],
        added_after=[vocabulary.special.get(one, vocabulary.decode([one])) for one in after],
        bytes=size,
        window=window,
        windows=[[len(one), round(float(one.sum()), 6)] for one in per_window],
    )
    if len(ids) < len(whole):
        part.of_tokens = len(before) + len(whole) - context
    return ScoredPart(part, rounded(metrics))


def not_on_text(reason: str) -> OnText:
    """Return the part of the record for a text that was not scored."""
    return OnText(absent=dict.fromkeys(SCORE_PARTS["on_text"], reason))


def _encoded(text: str, engine: Engine) -> tuple[list[int], list[int], list[int]]:
    """Return the token ids of a text, and those that the tokenizer adds before and after it."""
    whole = engine.encode(text)
    plain = engine.encode(RenderedChat(text))  # to which nothing is added
    for start in range(len(whole) - len(plain) + 1):
        end = start + len(plain)
        if whole[start:end] == plain:
            return whole[:start], plain, whole[end:]
    return [], whole, []


def whole_characters(ids: Sequence[int], most: int, decode: Decode) -> list[int]:
    """Return the first `most` token ids, without an incomplete character, but at least two."""
    found = list(ids[:most])
    for number in range(len(found), max(1, len(found) - MOST_PIECES), -1) if len(found) < len(ids) else ():
        if not decode(found[:number]).endswith("\ufffd"):
            return found[:number]
    return found


def _bytes_of_first(ids: Sequence[int], vocabulary: Vocabulary) -> int:
    """Return the bytes of the first token, which is not scored; a part of a character counts proportionally."""
    if ids[0] in vocabulary.special:
        return 0
    for number in range(1, 1 + min(len(ids), MOST_PIECES)):
        text = vocabulary.decode([*ids[:number]])
        if "\ufffd" not in text:
            return len(text.encode()) // number
    return 1


def windows(ids: Sequence[int], window: int, stride: int, context: int = 1) -> Iterator[Text]:
    """Yield windows of at most `window` tokens that score each token after the first `context` exactly once.

    After the first window, each scores `stride` new tokens; the preceding tokens are its prompt.

    Raises:
        ScoringError: the first tokens leave no space for others in a window.
    """
    if context >= window:
        raise ScoringError(f"the tokenizer adds {context} tokens, which leaves none in a window of {window} tokens")
    yield Text("0", ids[:context], ids[context:window])
    for number, end in enumerate(range(window, len(ids), stride), 1):
        yield Text(str(number), ids[end + stride - window : end], ids[end : end + stride])
