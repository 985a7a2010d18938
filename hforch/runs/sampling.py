"""Pass inputs through the chain, streamed or in batches, and make a sample record of each answer."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from langchain_core.runnables import Runnable, RunnableConfig

from hforch.checks.judging import judge
from hforch.config.schema import Item, Job
from hforch.errors import HforchError, full_errors, message_of
from hforch.generation.completion import Answer
from hforch.generation.llm import HforchLLM
from hforch.generation.results import answer_of
from hforch.inputs import Input
from hforch.load_profiles.base import Batch
from hforch.prompts import build_prompt, variables_of
from hforch.records.fields import Error
from hforch.records.sample import BatchPlace, CheckResult, Sample
from hforch.runs.busy_time import BusyTime
from hforch.runs.watcher import NullWatcher, Watcher
from hforch.utils.redaction import redacted_line
from hforch.utils.system_limits import limit_reached

log = logging.getLogger("hforch")


class Collector(BaseCallbackHandler):
    """A LangChain callback handler that stores the results of one call.

    Attributes:
        prompt: the prompt that the LLM received.
        text: the output of the chain, which starts with the prompt if prompt.echo is set.
        answer: the generated tokens and their timings.
    """

    raise_error = True

    def __init__(self) -> None:
        self.prompt: str | None = None
        self.text: str | None = None
        self.answer: Answer | None = None

    def on_llm_start(self, serialized: Any, prompts: list[str], **kwargs: Any) -> None:
        self.prompt = str(prompts[0])

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self.text, self.answer = response.generations[0][0].text, answer_of(response)


class Sampler:
    """The chain of a job, with methods that answer batches and return sample records.

    Attributes:
        busy: the seconds spent on batches, by repeat.
        prompt_tokens: prompt tokens by input index, set by `unanswerable` for each input that can be answered; None
            without a tokenizer.
        longest: upper bounds over the inputs passed to `unanswerable`, in tokens: the longest sequence (0 without a
            tokenizer) and the longest answer.
    """

    def __init__(self, job: Job, llm: HforchLLM, watcher: Watcher) -> None:
        self.job, self.llm, self.watcher = job, llm, watcher
        self.prompt = build_prompt(job.prompt)
        self.chain: Runnable[Any, str] = self.prompt | llm
        self.busy = BusyTime()
        self._last: tuple[Batch, float] | None = None
        self._judge = judge(job.checks, job.prompt.echo, job.generation.json_schema)
        self.longest = (0, 0)
        self.interrupted: list[Sample] = []  # the sample whose stream was interrupted, with its partial text
        self.prompt_tokens: dict[int, int | None] = {}

    def generate_short(self, items: Sequence[Item], token_limit: int) -> list[Answer]:
        """Generate `token_limit` tokens for each item, in one batch; record nothing."""
        collectors = [Collector() for _ in items]
        variables = [variables_of(item, self.job.prompt, self.prompt.input_variables) for item in items]
        configs = [RunnableConfig(callbacks=[collector]) for collector in collectors]
        (self.prompt | self.llm.shortened(token_limit)).batch(variables, config=configs)
        return [collector.answer for collector in collectors if collector.answer is not None]

    def first_batch_timing(self) -> tuple[Callable[[], float], float] | None:
        """Return a function that times the most recent batch again, and that batch's duration in seconds.

        The function records nothing. Returns None if no batch has run.
        """
        if self._last is None:
            return None
        batch, seconds = self._last

        def measure() -> float:
            again = Sampler(self.job, self.llm, NullWatcher())
            if any(sample.error for sample in again.answer(batch)):
                raise RuntimeError("the batch failed")
            return again.busy.seconds[batch.repeat]

        return measure, seconds

    @contextmanager
    def _measured(self, batch: Batch) -> Iterator[None]:
        started = time.perf_counter()
        with self.busy.of_batch(batch.repeat):
            yield
        self._last = batch, time.perf_counter() - started

    def judged(self, sample: Sample) -> Sample:
        """Add check results to a sample and return it."""
        sample.checks = [CheckResult(**result) for result in self._judge(sample.dump())]
        return sample

    def unanswerable(self, each: Input) -> HforchError | None:
        """Return an error if this input cannot be answered, for example because its prompt is too long; else None."""
        try:
            prompt = self.llm.prompt_value(self.prompt.invoke(self._variables(each))).to_string()
            tokens = self.llm.engine.prompt_tokens(prompt)
            room = self.llm.engine.room(tokens, self.job.generation)
        except HforchError as error:
            return error
        sequence, answer = self.longest
        self.longest = max(sequence, 0 if tokens is None else tokens + room), max(answer, room)
        self.prompt_tokens[each.index] = tokens
        return None

    def stream(self, batch: Batch) -> list[Sample]:
        """Answer a batch of one input and stream its text to the watcher."""
        (each,) = batch.inputs
        collector, pieces = Collector(), []
        with self._measured(batch):
            try:
                for piece in self.chain.stream(self._variables(each), config={"callbacks": [collector]}):
                    pieces.append(piece)
                    self.watcher.text(piece)
                sample = good_sample(each, batch, collector)
            except Exception as error:
                sample = failed_sample(each, batch, error, collector)
            except KeyboardInterrupt as interrupt:
                partial = failed_sample(each, batch, interrupt, collector)
                partial.checks = []  # an incomplete answer has neither passed nor failed
                partial.text = "".join(pieces) or None
                self.interrupted = [partial]
                raise
        return [self.judged(sample)]

    def answer(self, batch: Batch) -> list[Sample]:
        """Answer a batch in one call of the chain."""
        collectors = [Collector() for _ in batch.inputs]
        configs = [RunnableConfig(callbacks=[collector]) for collector in collectors]
        with self._measured(batch):
            try:
                self.chain.batch([self._variables(each) for each in batch.inputs], config=configs)
                samples = [good_sample(*pair, seen) for pair, seen in self._pairs(batch, collectors)]
            except Exception as error:
                samples = [failed_sample(*pair, error, seen) for pair, seen in self._pairs(batch, collectors)]
        return [self.judged(sample) for sample in samples]

    @staticmethod
    def _pairs(batch: Batch, seen: Sequence[Collector]) -> Iterator[tuple[tuple[Input, Batch], Collector]]:
        return (((each, batch), collector) for each, collector in zip(batch.inputs, seen, strict=True))

    def _variables(self, each: Input) -> dict[str, Any]:
        return variables_of(each.item, self.job.prompt, self.prompt.input_variables)


def good_sample(each: Input, batch: Batch, seen: Collector) -> Sample:
    """Return the sample of a completed input."""
    assert seen.answer is not None
    return _sample(each, batch, seen, answer=seen.answer)


def failed_sample(each: Input, batch: Batch, error: BaseException, seen: Collector | None = None) -> Sample:
    """Return the sample of a failed input, with its error."""
    return _sample(each, batch, seen or Collector(), error=error_of(error))


def error_of(error: BaseException) -> Error:
    """Convert an error for records, with its traceback if HYDRA_FULL_ERROR=1."""
    found = Error(
        type=type(error).__name__, message=limit_reached(error) or message_of(error) or _default_message(error)
    )
    if full_errors():
        found.traceback = redacted_line("".join(traceback.format_exception(error)))
    return found


def _default_message(error: BaseException) -> str:
    """Return a message for an exception that has none."""
    if isinstance(error, MemoryError):
        return "out of memory"
    return "interrupted" if isinstance(error, KeyboardInterrupt | asyncio.CancelledError) else type(error).__name__


def _sample(
    each: Input, batch: Batch, seen: Collector, answer: Answer | None = None, error: Error | None = None
) -> Sample:
    place = next((i for i, other in enumerate(batch.inputs) if other is each), None)
    prompt_tokens, output_tokens = (answer and answer.numbers) or (None, None)
    return Sample(
        index=each.index,
        input_id=each.id,
        repeat=batch.repeat,
        round=batch.round,
        batch=BatchPlace(index=batch.index, size=len(batch.inputs), place=place),
        input=each.item,
        prompt=seen.prompt,
        text=seen.text if answer else None,
        prompt_ids=_list(answer.prompt_ids) if answer else None,
        output_ids=_list(answer.output_ids) if answer else None,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        finish_reason=answer.finish_reason if answer else "error",
        timings=answer.timings if answer else {},
        absent=answer.absent if answer else {},
        error=error,
    )


def _list(ids: Sequence[int] | None) -> list[int] | None:
    return None if ids is None else list(ids)
