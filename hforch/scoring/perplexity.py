"""How well a loaded model foretells a given text: perplexity, and bits per byte."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy

from hforch.config.schema import Job
from hforch.generation.completion import Vocabulary
from hforch.generation.engine import Engine
from hforch.generation.logit_reader import LogitReader
from hforch.metrics.registry import ON_TEXT
from hforch.scoring.distributions import Array, clustered, normalizer
from hforch.scoring.preflight import load_text
from hforch.scoring.token_reading import Scores, Text, cut, read_rows, rounded

LARGEST = 700.0  # nats a token; beyond, perplexity is larger than a float can be
MOST_PIECES = 8  # tokens that one character may be cut into


def on_text(job: Job, logit_reader: LogitReader, engine: Engine) -> Scores:
    """Perplexity and bits per byte on a text, each token of it but the first read once with what comes before.

    Raises:
        ConfigError: it cannot be had.
    """
    scoring = job.scoring.text
    assert scoring is not None
    text = load_text(scoring)
    ids = engine.encode(text)
    window = min(scoring.window, engine.context_length or scoring.window)
    first, *others = windows(ids, window, min(scoring.stride or window // 2, window - 1))
    per_window: list[Array] = []
    for batch in [[first], *cut(others, job.scoring.batch_size)]:  # the others are shorter, and would be padded

        def look(row: int, start: int, logits: Array, batch: Sequence[Text] = batch) -> Array:
            tokens = numpy.array(batch[row].ids[start : start + len(logits)])[:, None]
            return normalizer(logits).astype(numpy.float64) - numpy.take_along_axis(logits, tokens, axis=1)[:, 0]

        per_window += [numpy.concatenate(parts) for parts in read_rows(logit_reader, batch, job.scoring.chunk, look)]
    size = len(text.encode()) - _bytes_of_first(ids, engine.vocabulary())
    mean = clustered(per_window)
    if not mean.value < LARGEST or size <= 0:
        reason = (
            "the text is one character"
            if size <= 0
            else "the text's tokens are too unlikely: its perplexity is no number"
        )
        return Scores(absent=dict.fromkeys((metric.name for metric in ON_TEXT), reason))
    bits = mean.value * (len(ids) - 1) / math.log(2) / size
    metrics: dict[str, float | None] = {
        "ppl": math.exp(mean.value),
        "ppl_se": None if mean.error is None else math.exp(mean.value) * mean.error,
        "bits_per_byte": bits,
        "bits_per_byte_se": None if mean.error is None or not mean.value else bits * mean.error / mean.value,
    }
    about = {"path": scoring.path, "sha256": hashlib.sha256(text.encode()).hexdigest(), "tokens": len(ids) - 1}
    about |= {"bytes": size, "window": window}
    each = [[len(one), round(float(one.sum()), 6)] for one in per_window]  # tokens and nats
    return Scores(rounded(metrics), {}, about | {"windows": each})


def _bytes_of_first(ids: Sequence[int], vocabulary: Vocabulary) -> int:
    """The bytes of a text's first token, which is not scored; of a piece of a character, its share of that."""
    if ids[0] in vocabulary.special:
        return 0
    for number in range(1, 1 + min(len(ids), MOST_PIECES)):
        text = vocabulary.decode([*ids[:number]])
        if "\ufffd" not in text:
            return len(text.encode()) // number
    return 1


def windows(ids: Sequence[int], window: int, stride: int) -> Iterator[Text]:
    """Pieces of at most `window` tokens such that each token but the first is in just one piece's text; behind the
    first piece `stride` tokens are new in each, and the others before them are its prompt."""
    yield Text("0", ids[:1], ids[1:window])
    for number, end in enumerate(range(window, len(ids), stride), 1):
        yield Text(str(number), ids[end + stride - window : end], ids[end : end + stride])
