"""The measured phase: the inputs go through the chain, one stream or batch by batch, and every answer is recorded."""

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
from hforch.generation.llm import HforchLLM
from hforch.inputs import Input
from hforch.load.base import Batch
from hforch.prompts import build_prompt, variables_of
from hforch.runs.busy_time import BusyTime
from hforch.runs.watcher import NullWatcher, Watcher
from hforch.utils.redaction import redacted_line
from hforch.utils.system_limits import limit_reached

log = logging.getLogger("hforch")


class Collector(BaseCallbackHandler):
    """Keeps what LangChain's callbacks say of one answer: the prompt as the LLM got it, and all about the answer."""

    raise_error = True

    def __init__(self) -> None:
        self.prompt: str | None = None
        self.text: str | None = None
        self.info: dict[str, Any] = {}

    def on_llm_start(self, serialized: Any, prompts: list[str], **kwargs: Any) -> None:
        self.prompt = str(prompts[0])

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        generation = response.generations[0][0]
        self.text, self.info = generation.text, generation.generation_info or {}


class Sampler:
    """Answers batches with a chain, and makes the records of its samples.

    Attributes:
        busy: how long batches have been answered, by repeat.
        torn: the sample whose stream was interrupted, with the text that had come; empty otherwise.
        prompt_tokens: of each input that can be answered, by its index; known once `unanswerable` has looked at it.
            None where there is no tokenizer.
        longest: the tokens of the longest sequence (0 without a tokenizer), and of the longest answer, that the inputs
            looked at may have.
    """

    def __init__(self, job: Job, llm: HforchLLM, watcher: Watcher) -> None:
        self.job, self.llm, self.watcher = job, llm, watcher
        self.prompt = build_prompt(job.prompt)
        self.chain: Runnable[Any, str] = self.prompt | llm
        self.busy = BusyTime()
        self._last: tuple[Batch, float] | None = None
        self._judge = judge(job.checks, job.prompt.echo, job.generation.json_schema)
        self.longest = (0, 0)
        self.torn: list[dict[str, Any]] = []
        self.prompt_tokens: dict[int, int | None] = {}

    def shortly(self, items: Sequence[Item], at_most: int) -> list[dict[str, Any]]:
        """Answer items together with `at_most` tokens each; nothing is measured or recorded.

        Returns:
            the `generation_info` of each answer.
        """
        collectors = [Collector() for _ in items]
        variables = [variables_of(item, self.job.prompt, self.prompt.input_variables) for item in items]
        configs = [RunnableConfig(callbacks=[collector]) for collector in collectors]
        (self.prompt | self.llm.shortened(at_most)).batch(variables, config=configs)
        return [collector.info for collector in collectors]

    def repeatable(self) -> tuple[Callable[[], float], float] | None:
        """Return a way to measure the batch that was answered last once more, unseen, and the seconds that it took."""
        if self._last is None:
            return None
        batch, seconds = self._last

        def measure() -> float:
            again = Sampler(self.job, self.llm, NullWatcher())
            if any(sample["error"] for sample in again.answer(batch)):
                raise RuntimeError("the batch failed this time")
            return again.busy.seconds[batch.repeat]

        return measure, seconds

    @contextmanager
    def _measured(self, batch: Batch) -> Iterator[None]:
        started = time.perf_counter()
        with self.busy.of_batch(batch.repeat):
            yield
        self._last = batch, time.perf_counter() - started

    def judged(self, sample: dict[str, Any]) -> dict[str, Any]:
        """A sample with what its checks say."""
        return sample | {"checks": self._judge(sample)}

    def unanswerable(self, each: Input) -> HforchError | None:
        """Why this input cannot be answered, such as a prompt longer than the model's context."""
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

    def stream(self, batch: Batch) -> list[dict[str, Any]]:
        """Answer a batch of one, piece by piece."""
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
                torn = self.judged(failed_sample(each, batch, interrupt, collector))
                self.torn = [torn | {"text": "".join(pieces) or None}]
                raise
        return [self.judged(sample)]

    def answer(self, batch: Batch) -> list[dict[str, Any]]:
        """Answer a batch at once."""
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


def good_sample(each: Input, batch: Batch, seen: Collector) -> dict[str, Any]:
    """The record of an answer."""
    usage = seen.info["token_usage"]
    return _sample(each, batch, seen) | {
        "text": seen.text,
        "prompt_ids": seen.info["prompt_ids"],
        "output_ids": seen.info["output_ids"],
        "prompt_tokens": usage.get("prompt_tokens"),
        "output_tokens": usage.get("completion_tokens"),
        "finish_reason": seen.info["finish_reason"],
        "timings": seen.info["timings"],
        "absent": seen.info["absent"],
        "error": None,
    }


def error_of(error: BaseException) -> dict[str, str]:
    """An error as records hold it; with its traceback if those are wanted."""
    said = limit_reached(error) or message_of(error) or _unsaid(error)
    told = {"type": type(error).__name__, "message": said}
    return told | ({"traceback": redacted_line("".join(traceback.format_exception(error)))} if full_errors() else {})


def _unsaid(error: BaseException) -> str:
    """What an error without words means."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return "interrupted" if isinstance(error, KeyboardInterrupt | asyncio.CancelledError) else type(error).__name__


def failed_sample(each: Input, batch: Batch, error: BaseException, seen: Collector | None = None) -> dict[str, Any]:
    """The record of an input that got no answer, and why."""
    return _sample(each, batch, seen or Collector()) | {
        "text": None,
        "prompt_ids": None,
        "output_ids": None,
        "prompt_tokens": None,
        "output_tokens": None,
        "finish_reason": "error",
        "timings": {},
        "absent": {},
        "error": error_of(error),
    }


def _sample(each: Input, batch: Batch, seen: Collector) -> dict[str, Any]:
    place = next((i for i, other in enumerate(batch.inputs) if other is each), None)
    return {
        "index": each.index,
        "input_id": each.id,
        "repeat": batch.repeat,
        "batch": {"index": batch.index, "size": len(batch.inputs), "place": place},
        "input": each.item,
        "prompt": seen.prompt,
    }
