"""How well a loaded model foretells a given text: perplexity, and bits per byte."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy

from hforch.backends.engine import Engine
from hforch.backends.teacher import Teacher
from hforch.config.schema import Job
from hforch.runs.distributions import Array, clustered, normalizer
from hforch.runs.scorable import load_text
from hforch.runs.scored import Scores, Text, cut, read_rows, rounded


def on_text(job: Job, teacher: Teacher, engine: Engine) -> Scores:
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

        per_window += [numpy.concatenate(parts) for parts in read_rows(teacher, batch, job.scoring.chunk, look)]
    vocabulary = engine.vocabulary()
    unread = "" if ids[0] in vocabulary.special else vocabulary.decode([ids[0]])
    size = len(text.encode()) - len(unread.encode())
    mean = clustered(per_window)
    bits = mean.value * (len(ids) - 1) / math.log(2) / size
    metrics: dict[str, float | None] = {
        "ppl": math.exp(mean.value),
        "ppl_se": None if mean.error is None else math.exp(mean.value) * mean.error,
        "bits_per_byte": bits,
        "bits_per_byte_se": None if mean.error is None else bits * mean.error / mean.value,
    }
    about = {"path": scoring.path, "sha256": hashlib.sha256(text.encode()).hexdigest(), "tokens": len(ids) - 1}
    about |= {"bytes": size, "window": window}
    each = [[len(one), round(float(one.sum()), 6)] for one in per_window]  # tokens and nats
    return Scores(rounded(metrics), {}, about | {"windows": each})


def windows(ids: Sequence[int], window: int, stride: int) -> Iterator[Text]:
    """Pieces of at most `window` tokens such that each token but the first is in just one piece's text; behind the
    first piece `stride` tokens are new in each, and the others before them are its prompt."""
    yield Text("0", ids[:1], ids[1:window])
    for number, end in enumerate(range(window, len(ids), stride), 1):
        yield Text(str(number), ids[end + stride - window : end], ids[end : end + stride])
