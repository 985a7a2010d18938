"""A loaded model and the one thread that works on it.

The thread pushes text into unbounded queues, so it never waits for a reader, and a reader may ask the same model
something else in between. A `SerialEngine` answers requests one after the other; `backends/genai/engine.py` has the
other kind.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from hforch.config.schema import Generation
from hforch.errors import PromptError
from hforch.generation.call_arguments import is_sampled
from hforch.generation.completion import Answer, Completion, Vocabulary
from hforch.generation.request_queue import RequestQueue
from hforch.machine import out_of_memory

# The random generator belongs to the whole process, so sampling waits for sampling, whatever the model.
SAMPLING = threading.Lock()


@dataclass(frozen=True)
class Work:
    """What a model will be asked to do, as far as it is known.

    Attributes:
        rows: prompts of a full batch.
        tokens: of the longest sequence, prompt and answer together.
        steps: how often the model is run for one more token of each row of a batch, at most; None: nobody knows.
        num_beams: sequences for each prompt.
    """

    rows: int
    tokens: int | None = None
    steps: int | None = None
    num_beams: int = 1


@dataclass(frozen=True)
class FixedCache:
    """A KV cache of fixed size.

    Attributes:
        rows: of a batch, those that are filled up included.
        tokens: prompt and answer together.
        number: how often caches and compiled code were given up before; what was warm then is so no more.
    """

    rows: int
    tokens: int
    number: int = 0


class RenderedChat(str):
    """A prompt that a chat template has rendered: special tokens are in it already, none may be added."""

    __slots__ = ()


@dataclass
class Request:
    """Prompts that go through the model together.

    Attributes:
        seed: for sampling.
        on_text: called in the engine's thread with each piece of the (single) answer.
        submitted_at: when the prompts' text was handed over, seconds (perf_counter).
        cancelled: set it, and the work stops at the next token.
        token_limit: tokens after which each answer ends, whatever `generation` says; the model is prepared for the
            whole length all the same, such as with a KV cache of that size. For warm-up.
    """

    prompts: Sequence[str]
    generation: Generation
    stop: Sequence[str] = ()
    seed: int = 0
    on_text: Callable[[str], None] | None = None
    submitted_at: float = field(default_factory=time.perf_counter)
    cancelled: threading.Event = field(default_factory=threading.Event)
    token_limit: int | None = None


class Engine(ABC):
    """What a backend loads: it knows its tokenizer and its chat template, and generates."""

    context_length: int | None = None
    """The most tokens, prompt and answer together; None when there is no limit or nobody knows."""

    identity: Mapping[str, Any]
    """All that decides what this model answers, apart from what a request says."""

    @abstractmethod
    def submit(self, request: Request) -> Future[list[Answer]]:
        """Ask for answers. The future holds one a prompt, in order, or the error as it was raised.

        Raises:
            GenerationError: the engine was closed.
        """

    @abstractmethod
    def settle(self) -> None:
        """Wait until all that was asked for before is answered or cancelled."""

    @abstractmethod
    def close(self) -> None:
        """Cancel all requests and let the thread end."""

    @abstractmethod
    def encode(self, prompt: str) -> list[int]:
        """Prompt text to token ids, as the model is given them.

        Raises:
            GenerationError: there is no tokenizer here.
        """

    def prompt_tokens(self, prompt: str) -> int | None:
        """Return the number of tokens of a prompt's text; None where there is no tokenizer to ask."""
        return len(self.encode(prompt))

    @abstractmethod
    def render(self, messages: Sequence[Mapping[str, str]], kwargs: Mapping[str, Any]) -> RenderedChat:
        """Messages ({role, content}) to prompt text, through the model's chat template.

        Raises:
            PromptError: there is no chat template, or it refuses these messages.
        """

    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """How ids become text again."""

    @abstractmethod
    def decoding(self, generation: Generation) -> dict[str, Any]:
        """The decoding settings that are really in force for `generation`, read back; for the record."""

    def expect(self, work: Work) -> dict[str, Any]:
        """Prepare for a job, as far as it is known beforehand.

        Returns:
            what was chosen for it, for the record; empty where there is nothing to choose.
        """
        return {}

    def draws(self, generation: Generation) -> bool:
        """Whether `generation` draws tokens at random."""
        return is_sampled(generation)

    def completion(self, prompt: str, request: Request) -> Completion:
        ids = self.encode(prompt)
        return Completion(
            self.vocabulary(),
            ids,
            request.stop,
            self.room(len(ids), request.generation),
            request.generation.ignore_eos,
            request.on_text,
            request.token_limit,
        )

    def fixed_cache(self, rows: int, prompt_tokens: int | None, generation: Generation) -> FixedCache | None:
        """Return the KV cache of fixed size that a batch gets whose longest prompt is so long; None if it grows."""
        return None

    def room(self, prompt_tokens: int | None, generation: Generation) -> int:
        """How many tokens an answer may have: the least that max_new_tokens, max_length and the context leave.

        Args:
            prompt_tokens: None if it is not known; then max_new_tokens alone decides.

        Raises:
            PromptError: none at all.
        """
        if prompt_tokens == 0:
            raise PromptError("the prompt has no tokens; give the model something to continue")
        limits = [generation.max_new_tokens] if generation.max_new_tokens is not None else []
        for name, total in (("generation.max_length", generation.max_length), ("context", self.context_length)):
            if total is None or prompt_tokens is None:
                continue
            if prompt_tokens >= total:
                raise PromptError(
                    f"the prompt has {prompt_tokens} tokens, and the {_say(name)} is {total}: nothing is left for an"
                    f" answer; shorten the prompt{' or raise the limit' if name != 'context' else ''}"
                )
            limits.append(total - prompt_tokens)
        if not limits and prompt_tokens is None:
            problem = "generation.max_length counts the prompt's tokens too, and this backend cannot count them"
            raise PromptError(f"{problem}; set generation.max_new_tokens")
        if not limits:
            raise PromptError("nothing limits the answer; set generation.max_new_tokens")
        return min(limits)


class SerialEngine(Engine):
    """One request after the other, because a compiled model has one infer request, and torch's random generator is
    global. Requests wait in a queue, first come first served; the time there is queue_ms."""

    def __init__(self, queue: RequestQueue | None = None) -> None:
        self.queue = queue or RequestQueue()

    @abstractmethod
    def generate(self, completions: Sequence[Completion], request: Request) -> None:
        """Push tokens into each completion until all are finished or the request is cancelled."""

    def drop_caches(self) -> None:
        """Forget what is kept from one request to the next, because the accelerator has no memory left."""
        return

    def recovers(self, error: Exception) -> bool:
        """Return whether the engine has changed how it runs because of an error, so that another try may succeed."""
        return False

    def submit(self, request: Request) -> Future[list[Answer]]:
        return self.queue.submit(self._work, request, cancelled=request.cancelled)

    def settle(self) -> None:
        self.queue.submit(lambda: None, cancelled=threading.Event()).result()

    def close(self) -> None:
        self.queue.close()

    def _work(self, request: Request) -> list[Answer]:
        with SAMPLING if self.draws(request.generation) else nullcontext():
            started = time.perf_counter()
            if request.cancelled.is_set():
                return []
            try:
                completions = self._generated(request)
            except Exception as error:
                if request.on_text is not None or not self.recovers(error):  # what was streamed cannot be taken back
                    raise
                completions = self._generated(request)
            finished = time.perf_counter()
        return [completion.answer(request.submitted_at, started, finished) for completion in completions]

    def _generated(self, request: Request) -> list[Completion]:
        completions = [self.completion(prompt, request) for prompt in request.prompts]
        with out_of_memory.translating(_smaller(len(completions)), self.drop_caches):
            self.generate(completions, request)
        return completions


def _say(limit: str) -> str:
    return "model's context" if limit == "context" else limit


def _smaller(rows: int) -> str:
    """Return what to do when generating for so many prompts at once takes more memory than there is."""
    batch = f"{out_of_memory.SMALLER_BATCH}, " if rows > 1 else "use "
    return f"{batch}a smaller precision, shorter prompts or fewer generation.max_new_tokens"
