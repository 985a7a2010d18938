"""Warm up a model with short generations in the shapes of the job's batches, until their timings are steady.

The first calls with a shape are slow: kernels are loaded, selected or compiled, and memory is allocated. Each shape is
warmed up once per loaded model. Warm-up is not part of the job's measurements.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from hforch.backends.base import capabilities
from hforch.config.schema import Generation, Item
from hforch.generation.engine import FixedCache
from hforch.inputs import Input
from hforch.load_profiles.base import Batch
from hforch.records.measured import WarmedUp
from hforch.runs.sampling import Sampler, error_of
from hforch.runs.warmup_rounds import FEWEST, FEWEST_ON_CPU, STEPS, Round, deviation, ended_by, is_steady
from hforch.utils.progress import Progress

SHORT_TOKENS = 2
# Generation settings that change the computation per token.
DECODING = (
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size"),
    *("json_schema", "from_checkpoint"),
)

log = logging.getLogger("hforch")


@dataclass(frozen=True)
class Shape:
    """The properties of a batch that determine which kernels run.

    Attributes:
        batch_size: rows of the batch.
        prompt_tokens: the length of the longest prompt, rounded up to a power of two; None without a tokenizer.
        num_beams: sequences per prompt.
        decoding: the names of active settings that add computation to each token.
        cache: the KV cache of fixed size; None if the cache grows.
    """

    batch_size: int
    prompt_tokens: int | None
    num_beams: int = 1
    decoding: tuple[str, ...] = ()
    cache: FixedCache | None = None

    def record(self) -> WarmedUp:
        """Return the shape for the record."""
        found = WarmedUp(batch_size=self.batch_size, prompt_tokens=self.prompt_tokens, num_beams=self.num_beams)
        if self.cache is not None:
            found.cache_length = self.cache.tokens
        return found


NO_SHAPE = Shape(0, 0)
"""The marker in `warm` for a completed `runtime.warmup=N`, which runs once per loaded model, whatever the shape."""


def warm_up(
    sampler: Sampler, batches: Sequence[Batch], warm: set[Shape], on_cpu: bool, progress: Progress
) -> list[WarmedUp]:
    """Warm up a model for batches, as set by runtime.warmup.

    Errors are only logged and recorded, because the batches will fail with the same ones.

    Args:
        sampler: generates the answers.
        batches: the batches to be measured.
        warm: shapes that are already warm; new ones are added.
        on_cpu: whether the model uses no accelerator.
        progress: shows the stage.

    Returns:
        the number of rounds of each shape, and why they ended; empty if no warm-up was necessary.
    """
    asked = sampler.job.runtime.warmup
    if asked == "auto":
        return [
            _until_steady(sampler, shape, inputs, batches, warm, on_cpu, progress)
            for shape, inputs in shapes(sampler, batches)
            if not _is_warm(shape, warm, on_cpu)
        ]
    if warm or not asked:
        return []
    warm.add(NO_SHAPE)
    with progress.stage("warm-up", f"{asked} short generation{'s' * (asked > 1)}"):
        return [_fixed_number(sampler, batches[0].inputs, asked)]


def _is_warm(shape: Shape, warm: set[Shape], on_cpu: bool) -> bool:
    """Return whether a model needs no warm-up for a shape.

    On a CPU, one shape is enough for all shapes with the same `cache`: nothing is loaded or compiled per shape, and the
    first calls are slow for reasons that depend only on the model (reading pages, allocating memory, starting threads).
    """
    if on_cpu:
        return any(one.cache == shape.cache for one in warm - {NO_SHAPE})
    return shape in warm


def shapes(sampler: Sampler, batches: Sequence[Batch]) -> Iterator[tuple[Shape, list[Input]]]:
    """Yield the shapes of batches and their inputs, largest first: per batch size, the one with the longest prompt.

    Each size of a fixed KV cache is a separate shape. A backend with continuous batching has one shape: as many of the
    longest prompts as can run concurrently.
    """
    batching, tokens = capabilities(sampler.job).batching, sampler.prompt_tokens
    seen: set[tuple[int, FixedCache | None]] = set()
    for batch in sorted(batches, key=lambda batch: (-len(batch.inputs), -(_longest(sampler, batch.inputs) or 0))):
        inputs = list(batch.inputs)
        if batching.is_continuous:
            inputs = sorted(inputs, key=lambda each: -(tokens[each.index] or 0))[: batching.max_batch_size]
        shape = _shape(sampler, inputs)
        if (size := (shape.batch_size, shape.cache)) not in seen:
            seen.add(size)
            yield shape, inputs
        if batching.is_continuous:
            return


def _shape(sampler: Sampler, inputs: Sequence[Input]) -> Shape:
    longest = _longest(sampler, inputs)
    engine, generation = sampler.llm.engine, sampler.llm.generation
    bucket = None if longest is None else 1 << (longest - 1).bit_length()
    cache = engine.fixed_cache(len(inputs), longest, generation)
    return Shape(cache.rows if cache else len(inputs), bucket, generation.num_beams or 1, _decoding(generation), cache)


def _longest(sampler: Sampler, inputs: Sequence[Input]) -> int | None:
    """Return the number of tokens of the longest prompt, or None if it is unknown."""
    return max((known for each in inputs if (known := sampler.prompt_tokens[each.index]) is not None), default=None)


def _decoding(generation: Generation) -> tuple[str, ...]:
    names = DECODING if generation.do_sample is not False else DECODING[DECODING.index("repetition_penalty") :]
    return tuple(name for name in names if getattr(generation, name))


def _until_steady(
    sampler: Sampler,
    shape: Shape,
    inputs: Sequence[Input],
    batches: Sequence[Batch],
    warm: set[Shape],
    on_cpu: bool,
    progress: Progress,
) -> WarmedUp:
    """Run short generations of one shape until their timings are steady or a limit is reached.

    On a CPU the first round generates only two tokens, which shows whether the job is long enough for more rounds.
    """
    rounds: list[Round] = []
    ended, failed = None, None
    started = time.perf_counter()
    with progress.stage("warm-up", f"batches of {len(inputs)} until times are stable"):
        try:
            while ended is None:
                tokens = SHORT_TOKENS if on_cpu and not rounds else 1 + STEPS
                rounds.append(_round(sampler, inputs, len(rounds), tokens))
                expected = _expected_s(sampler, inputs, batches, rounds[-1])
                ended = ended_by(rounds, expected, FEWEST_ON_CPU if on_cpu else FEWEST)
            warm.add(shape)
        except Exception as error:
            failed = _failed(error)
    warmed = shape.record()
    warmed.rounds, warmed.seconds = len(rounds), round(time.perf_counter() - started, 3)
    if len(rounds) > 1:
        warmed.deviation = round(deviation(*rounds[-2:]), 4)
    if rounds:
        _add_milliseconds(warmed, rounds[-1])
    if failed:
        warmed.error = failed
    else:
        warmed.ended_by = ended
    warmed.steady = not failed and is_steady(rounds)
    return warmed


def _round(sampler: Sampler, inputs: Sequence[Input], number: int, tokens: int) -> Round:
    """Generate `tokens` tokens for each input once."""
    items = [each.item for each in inputs]
    if capabilities(sampler.job).batching.keeps_prompts:
        items = [_rotated(item, number + 1) for item in items]  # keeps the measured prompts out of the prefix cache
    started = time.perf_counter()
    answers = sampler.generate_short(items, tokens)
    wall = time.perf_counter() - started
    prefills = [answer.timings["ttft_ms"] / 1e3 for answer in answers if "ttft_ms" in answer.timings]
    steps = [answer.timings["tpot_ms"] / 1e3 for answer in answers if "tpot_ms" in answer.timings]
    return Round(wall, max(prefills, default=None), median(steps) if steps else None, tokens)


def _expected_s(sampler: Sampler, inputs: Sequence[Input], batches: Sequence[Batch], last: Round) -> float:
    """Return the seconds that all batches will take at the speed of `last` if every answer has its full length."""
    tokens = sampler.llm.engine.room(_longest(sampler, inputs), sampler.llm.generation)
    max_batch_size = capabilities(sampler.job).batching.max_batch_size
    return last.expected_s(tokens, sum(-(-len(batch.inputs) // max_batch_size) for batch in batches))


def _fixed_number(sampler: Sampler, inputs: Sequence[Input], number: int) -> WarmedUp:
    """Generate two tokens for each input, `number` times."""
    started = time.perf_counter()
    warmed, rounds = WarmedUp(batch_size=len(inputs), steady=None), 0
    try:
        for _ in range(number):
            sampler.generate_short([each.item for each in inputs], SHORT_TOKENS)
            rounds += 1
    except Exception as error:
        warmed.error = _failed(error)
    warmed.rounds, warmed.seconds = rounds, round(time.perf_counter() - started, 3)
    return warmed


def _failed(error: Exception) -> str:
    log.warning("warm-up failed", exc_info=error)
    return error_of(error).message


def _add_milliseconds(warmed: WarmedUp, last: Round) -> None:
    warmed.wall_ms = round(1e3 * last.wall_s, 3)
    if last.prefill_s is not None:
        warmed.prefill_ms = round(1e3 * last.prefill_s, 3)
    if last.step_s is not None:
        warmed.step_ms = round(1e3 * last.step_s, 3)


def _rotated(item: Item, number: int) -> Item:
    """Return an item whose strings are rotated by `number` words."""
    if isinstance(item, Mapping):
        return {name: _rotated(value, number) if isinstance(value, str) else value for name, value in item.items()}
    words = item.split(" ")
    at = number % len(words)
    return " ".join(words[at:] + words[:at])
