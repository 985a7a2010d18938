"""The interface of an engine: a loaded model with one thread that runs it.

The thread pushes text into unbounded queues, so it never blocks on a slow reader, and a reader may submit another
request to the same model while it reads. A `SerialEngine` processes one request after another; the engine in
`backends/genai/engine.py` processes several at the same time.
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
from hforch.generation.request_queue import GRACE_S, RequestQueue
from hforch.machine import out_of_memory

CONTEXT = "the model's context length"
# Torch's random generator is global to the process, so only one model at a time may sample.
SAMPLING = threading.Lock()


@dataclass(frozen=True)
class Work:
    """The expected workload of a model.

    Attributes:
        rows: number of prompts in a full batch.
        tokens: length of the longest sequence, prompt and answer together; None if unknown.
        steps: maximum number of decoding steps, each of which adds a token to all rows of a batch; None if unknown.
        num_beams: number of sequences per prompt.
    """

    rows: int
    tokens: int | None = None
    steps: int | None = None
    num_beams: int = 1


@dataclass(frozen=True)
class FixedCache:
    """A KV cache of fixed size.

    Attributes:
        rows: number of rows of a batch, including padding rows.
        tokens: length of a row, prompt and answer together.
        number: how often caches and compiled code have been discarded; a new value means that earlier warm-up no longer
            applies.
    """

    rows: int
    tokens: int
    number: int = 0


class RenderedChat(str):
    """A prompt rendered by a chat template; it contains its special tokens, so the tokenizer must not add any."""

    __slots__ = ()


@dataclass
class Request:
    """Prompts to process together.

    Attributes:
        prompts: the prompts.
        generation: generation settings.
        stop: stop sequences.
        seed: seed for sampling.
        on_text: called in the engine's thread with each piece of the answer; requires a single prompt.
        submitted_at: when the prompts were submitted, in seconds (perf_counter).
        cancelled: event that stops the work at the next token.
        token_limit: maximum number of tokens per answer, for warm-up, in addition to the limits in `generation`. The
            model is still prepared for the full length, for example with a KV cache of that size.
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
    """A loaded model with its tokenizer and chat template."""

    context_length: int | None = None
    """Maximum number of tokens of prompt and answer together; None if unlimited or unknown."""

    identity: Mapping[str, Any]
    """Everything that determines the answers of this model, except for the request."""

    @abstractmethod
    def submit(self, request: Request) -> Future[list[Answer]]:
        """Submit a request. The future returns one answer per prompt, in order, or raises the original error.

        Raises:
            GenerationError: the engine is closed.
        """

    @abstractmethod
    def settle(self) -> None:
        """Wait until all earlier requests are finished or cancelled."""

    @abstractmethod
    def close(self) -> None:
        """Cancel all requests and end the thread."""

    @property
    @abstractmethod
    def is_closed(self) -> bool:
        """Whether `close` was called."""

    @abstractmethod
    def free(self) -> None:
        """Close the engine, wait until its thread has ended, and drop the model; the tokenizer remains usable."""

    @abstractmethod
    def encode(self, prompt: str) -> list[int]:
        """Return the token ids of a prompt, as the model receives them.

        Raises:
            GenerationError: the engine has no tokenizer.
        """

    def prompt_tokens(self, prompt: str) -> int | None:
        """Return the number of tokens of a prompt; None if the engine has no tokenizer."""
        return len(self.encode(prompt))

    @abstractmethod
    def render(self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> RenderedChat:
        """Render messages ({role, content, ...}) as a prompt with the model's chat template.

        If the last message is from the assistant, the model continues it.

        Raises:
            PromptError: the model has no chat template, or the template rejects the messages.
        """

    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """Return the vocabulary for decoding answers."""

    @abstractmethod
    def decoding(self, generation: Generation) -> dict[str, Any]:
        """Return the effective decoding settings for `generation`, for the record."""

    def expect(self, work: Work) -> dict[str, Any]:
        """Prepare for the expected workload of a job.

        Returns:
            The chosen settings, for the record; empty if there is nothing to choose.
        """
        return {}

    def draws(self, generation: Generation) -> bool:
        """Return whether `generation` samples tokens."""
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
        """Return the fixed-size KV cache for a batch, by the length of its longest prompt; None if the cache grows."""
        return None

    def room(self, prompt_tokens: int | None, generation: Generation) -> int:
        """Return the maximum number of tokens of an answer, from max_new_tokens, max_length and the context length.

        Args:
            prompt_tokens: number of tokens of the prompt; if None (unknown), only max_new_tokens applies.

        Raises:
            PromptError: the prompt is empty or leaves no space for an answer, or nothing limits the answer.
        """
        if prompt_tokens == 0:
            raise PromptError("the prompt is empty (0 tokens); pass some text")
        limits = [generation.max_new_tokens] if generation.max_new_tokens is not None else []
        for name, total in (("generation.max_length", generation.max_length), (CONTEXT, self.context_length)):
            if total is None or prompt_tokens is None:
                continue
            if prompt_tokens >= total:
                longer = f"more than {name} ({total})"
                equal = f"as many as {name} allows, which leaves none for the answer"
                raise PromptError(
                    f"the prompt has {prompt_tokens} tokens, {longer if prompt_tokens > total else equal}; shorten the"
                    f" prompt{f' or increase {name}' if name != CONTEXT else ''}"
                )
            limits.append(total - prompt_tokens)
        if not limits and prompt_tokens is None:
            problem = "generation.max_length includes the prompt's tokens, which this backend cannot count"
            raise PromptError(f"{problem}; set generation.max_new_tokens")
        if not limits:
            raise PromptError("the length of the answer is unlimited; set generation.max_new_tokens")
        return min(limits)


class SerialEngine(Engine):
    """An engine that processes one request after another; the time a request waits in the queue is queue_ms.

    Requests do not run concurrently, because a compiled OpenVINO model has one infer request and torch's random
    generator is global.
    """

    def __init__(self, queue: RequestQueue | None = None) -> None:
        self.queue = queue or RequestQueue()

    @abstractmethod
    def generate(self, completions: Sequence[Completion], request: Request) -> None:
        """Push tokens to the completions until all are finished or the request is cancelled."""

    def drop_caches(self) -> None:
        """Free memory that is cached between requests, because the accelerator is out of memory."""
        return

    def recovers(self, error: Exception) -> bool:
        """Change how the engine runs after an error, if possible; return whether a second attempt may succeed."""
        return False

    def submit(self, request: Request) -> Future[list[Answer]]:
        return self.queue.submit(self._work, request, cancelled=request.cancelled)

    def settle(self) -> None:
        self.queue.submit(lambda: None, cancelled=threading.Event()).result()

    def close(self) -> None:
        self.queue.close()

    @property
    def is_closed(self) -> bool:
        return self.queue.is_closed

    def free(self) -> None:
        self.close()
        self.queue.join(GRACE_S)

    def parts(self, completions: Sequence[Completion]) -> list[list[int]]:
        """Split a batch into parts to be generated one after another; return the positions in each."""
        return [list(range(len(completions)))]

    def _work(self, request: Request) -> list[Answer]:
        with SAMPLING if self.draws(request.generation) else nullcontext():
            started = time.perf_counter()
            if request.cancelled.is_set():
                return []
            completions = [self.completion(prompt, request) for prompt in request.prompts]
            answers: dict[int, Answer] = {}
            for part in self.parts(completions):
                generated = self._generated([completions[place] for place in part], part, request)
                finished = time.perf_counter()
                for place, completion in zip(part, generated, strict=True):
                    answers[place] = completion.answer(request.submitted_at, started, finished)
                started = finished
        return [answers[place] for place in range(len(completions))]

    def _generated(
        self, completions: Sequence[Completion], places: Sequence[int], request: Request
    ) -> Sequence[Completion]:
        """Generate a part of a request; return its completions, or new ones if a second attempt was necessary."""
        try:
            self._generate(completions, request)
        except Exception as error:
            if request.on_text is not None or not self.recovers(error):  # streamed text cannot be undone
                raise
            completions = [self.completion(request.prompts[place], request) for place in places]
            self._generate(completions, request)
        return completions

    def _generate(self, completions: Sequence[Completion], request: Request) -> None:
        with out_of_memory.translating(_smaller(len(completions)), self.drop_caches):
            self.generate(completions, request)


def _smaller(rows: int) -> str:
    """Return a hint for running out of memory with a batch of this many rows."""
    batch = f"{out_of_memory.SMALLER_BATCH}, " if rows > 1 else "use "
    return f"{batch}a lower precision, shorter prompts or a smaller generation.max_new_tokens"
