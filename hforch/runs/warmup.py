"""Warm-up: short generations before the measured ones, in the shapes of the job's own batches, until they are steady.

The first calls of a shape are slow: kernels are loaded, chosen or compiled, and memory is allocated. What steady state
needs is done once for each loaded model and shape. Nothing of it is measured as the job's.
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
# Settings of a generation that decide what is computed for each token.
DECODING = (
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size"),
    *("json_schema", "from_checkpoint"),
)

log = logging.getLogger("hforch")


@dataclass(frozen=True)
class Shape:
    """What decides which kernels run.

    Attributes:
        batch_size: rows that go through the model together.
        prompt_tokens: of the longest prompt, rounded up to a power of two; None where there is no tokenizer.
        num_beams: sequences for each prompt.
        decoding: the settings in use that add computations to each token, by name.
        cache: a KV cache of fixed size; None if it grows.
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
"""Stands for a number of short generations, which are made once for a loaded model, whatever the job's shape."""


def warm_up(
    sampler: Sampler, batches: Sequence[Batch], warm: set[Shape], on_cpu: bool, progress: Progress
) -> list[WarmedUp]:
    """Warm a model up for batches, as runtime.warmup says. If that fails, so will the batches, and those are recorded.

    Args:
        batches: those that will be measured.
        warm: the shapes that the model is warm for; those that are warmed up now are added.
        on_cpu: whether the model uses no accelerator.

    Returns:
        for the record: of each shape how many rounds it took, and how that ended; empty if there was nothing to do.
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
    with progress.stage("warmup", f"{asked} short generation{'s' * (asked > 1)}"):
        return [_so_many(sampler, batches[0].inputs, asked)]


def _is_warm(shape: Shape, warm: set[Shape], on_cpu: bool) -> bool:
    """Return whether a model needs no warm-up for a shape.

    On a CPU one shape does for all with the same kind of KV cache: nothing is loaded or compiled for a shape there, and
    what makes first calls slow (pages to be read, memory to be allocated, threads to be started) is the model's own.
    """
    if on_cpu:
        return any(one.cache == shape.cache for one in warm - {NO_SHAPE})
    return shape in warm


def shapes(sampler: Sampler, batches: Sequence[Batch]) -> Iterator[tuple[Shape, list[Input]]]:
    """Iterate over the shapes of batches, the largest first: of each batch size, that with the longest prompt.

    Each size of a fixed KV cache is a shape of its own. A backend that batches continuously has one shape, of as many
    of the longest prompts as run together.
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
    """Return the tokens of the longest prompt; None if they are not known."""
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
    """Repeat a short generation of one shape until its times are steady, or a bound is reached.

    On a CPU the first one has two tokens, after which it is known whether the job is worth more.
    """
    rounds: list[Round] = []
    ended, failed = None, None
    started = time.perf_counter()
    with progress.stage("warmup", f"{len(inputs)} prompt{'s' * (len(inputs) > 1)} at a time, until steady"):
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
    """Generate so many tokens of each answer once."""
    items = [each.item for each in inputs]
    if capabilities(sampler.job).batching.keeps_prompts:
        items = [_turned(item, number + 1) for item in items]  # or the cache would hold the measured prompts
    started = time.perf_counter()
    answers = sampler.shortly(items, tokens)
    wall = time.perf_counter() - started
    prefills = [answer.timings["ttft_ms"] / 1e3 for answer in answers if "ttft_ms" in answer.timings]
    steps = [answer.timings["tpot_ms"] / 1e3 for answer in answers if "tpot_ms" in answer.timings]
    return Round(wall, max(prefills, default=None), median(steps) if steps else None, tokens)


def _expected_s(sampler: Sampler, inputs: Sequence[Input], batches: Sequence[Batch], last: Round) -> float:
    """Return the seconds that all batches will take if each is like this one and no answer ends early."""
    tokens = sampler.llm.engine.room(_longest(sampler, inputs), sampler.llm.generation)
    max_batch_size = capabilities(sampler.job).batching.max_batch_size
    return last.expected_s(tokens, sum(-(-len(batch.inputs) // max_batch_size) for batch in batches))


def _so_many(sampler: Sampler, inputs: Sequence[Input], number: int) -> WarmedUp:
    """Make a number of generations of two tokens."""
    started = time.perf_counter()
    warmed, rounds = WarmedUp(batch_size=len(inputs), steady=None), 0
    try:
        for _ in range(number):
            sampler.shortly([each.item for each in inputs], SHORT_TOKENS)
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


def _turned(item: Item, number: int) -> Item:
    """Return an item of the same words in another order: its texts begin with their words from `number` on."""
    if isinstance(item, Mapping):
        return {name: _turned(value, number) if isinstance(value, str) else value for name, value in item.items()}
    words = item.split(" ")
    at = number % len(words)
    return " ".join(words[at:] + words[:at])
