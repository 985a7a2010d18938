"""backend=fake: a scripted backend without a model, for tests and demos, with all generation guarantees.

It is deterministic: an answer depends only on the prompt and, when sampling, on the seed. With `remote`, it returns
only text and token counts, like an endpoint.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hforch.backends.base import LoadedModel, PreparedModel
from hforch.backends.capabilities import Capabilities, Lack, padded_batches
from hforch.config.backends.fake import FakeBackend
from hforch.config.schema import Generation, Job
from hforch.errors import GenerationError, Mistake
from hforch.generation.call_arguments import is_sampled
from hforch.generation.completion import Completion, Vocabulary
from hforch.generation.engine import RenderedChat, Request, SerialEngine
from hforch.generation.text_completion import TextCompletion
from hforch.generation.text_engine import TextEngine
from hforch.models.estimate import Needs
from hforch.utils.progress import Progress

LIBRARIES = ()
LLM_MODULE = "hforch.generation.engine_llm"
NO_LOGITS = "backend=fake has no logits to score"
REMOTE = "backend.remote=true returns only text, like an endpoint"

EOS = 0
WORDS = (
    *("signal", "model", "answer", "number", "water", "light", "sound", "wave", "second", "measures", "shows", "gives"),
    *("small", "large", "open", "closed", "the", "a", "and", "or", "of", "in", "over", "under", "with", "without"),
)
TOKEN = re.compile(r"\s*\S+|\s+")


def capabilities(job: Job) -> Capabilities:
    assert isinstance(job.backend, FakeBackend)
    remote: tuple[Lack, ...] = ("token_ids", "tokenizer", "fingerprint", "memory") if job.backend.remote else ()
    return Capabilities(
        needs=Needs(weights=None),
        batching=padded_batches(job),
        ignores=("model", "device", "precision", "ov_config", "runtime.threads"),
        lacks={"logits": NO_LOGITS, **dict.fromkeys(remote, REMOTE)},
        formats_chat=True,
        unenforced=lacking,
    )


def lacking(schema: Mapping[str, Any]) -> str:
    return "backend=fake cannot enforce a schema, because it does not select tokens"


def check(job: Job) -> list[Mistake]:
    return []


def prepare(job: Job, progress: Progress) -> PreparedModel:
    assert isinstance(job.backend, FakeBackend)
    return PreparedModel(path=None, record={"kind": "fake", "fingerprint": None if job.backend.remote else "fake"})


def load(job: Job, prepared: PreparedModel) -> LoadedModel:
    from hforch.generation.engine_llm import EngineLLM

    assert isinstance(job.backend, FakeBackend)
    time.sleep(job.backend.load_s)
    engine = RemoteFakeEngine(job.backend) if job.backend.remote else FakeEngine(job.backend)
    build = partial(EngineLLM, engine=engine, kind="hforch_fake")
    return LoadedModel(engine, build, {"device": ["none"], "precision": {"requested": "none"}})


class FakeEngine(SerialEngine):
    """An engine that returns scripted or pseudo-random answers; a token is a word with the whitespace before it."""

    def __init__(self, script: FakeBackend) -> None:
        super().__init__()
        self.script = script
        self.identity = {"backend": script.model_dump()}
        self._texts = {EOS: "<eos>"}
        self._calls: Counter[int] = Counter()  # by batch size

    def encode(self, prompt: str) -> list[int]:
        return self._ids_of(prompt)

    def render(self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> RenderedChat:
        return RenderedChat(
            "\n".join(f"{message['role']}: {message['content']}" for message in messages) + "\nassistant:"
        )

    def vocabulary(self) -> Vocabulary:
        return Vocabulary(lambda ids: "".join(self._texts[i] for i in ids), {EOS: "<eos>"}, (EOS,))

    def decoding(self, generation: Generation) -> dict[str, Any]:
        return {name: value for name, value in generation.model_dump().items() if value is not None}

    def generate(self, completions: Sequence[Completion], request: Request) -> None:
        self._sleep(self.script.prefill_s + self._cold_s(len(completions)), request)
        answers = [self._answer(str(prompt), request) for prompt in request.prompts]
        failures = [self._failure(str(prompt)) for prompt in request.prompts]
        for step in range(max(completion.limit for completion in completions)):
            for failure in failures:
                if failure is not None and step >= failure.after:
                    raise GenerationError(failure.error)
            if step:
                self._sleep(self.script.token_s, request)
            now = time.perf_counter()
            pairs = zip(completions, answers, strict=True)
            done = [self._push(c, answer[step] if step < len(answer) else EOS, now) for c, answer in pairs]
            if all(done) or request.cancelled.is_set():
                break
        for completion in completions:
            completion.finish()

    def _push(self, completion: Completion, token: int, now: float) -> bool:
        return completion.push(token, now)

    def _cold_s(self, batch_size: int) -> float:
        """Return the extra seconds of this call, which halve with each call of the same batch size."""
        calls = self._calls[batch_size]
        self._calls[batch_size] += 1
        return self.script.cold_s / 2**calls if calls < self.script.cold_calls else 0.0

    def _answer(self, prompt: str, request: Request) -> list[int]:
        for reply in self.script.replies:
            if reply.match in prompt:
                return self._ids_of(reply.text)
        seed = f"{request.seed}:" if is_sampled(request.generation) else ""
        digest = hashlib.sha256((seed + prompt).encode()).digest()
        length = 8 + digest[0] % 24
        words = [WORDS[hashlib.sha256(digest + bytes([i])).digest()[0] % len(WORDS)] for i in range(length)]
        return [self._id(f" {word}") for word in words]

    def _failure(self, prompt: str) -> Any:
        return next((failure for failure in self.script.failures if failure.match in prompt), None)

    def _sleep(self, seconds: float, request: Request) -> None:
        if seconds:
            request.cancelled.wait(seconds)

    def _ids_of(self, text: str) -> list[int]:
        return [self._id(token) for token in TOKEN.findall(text)]

    def _id(self, text: str) -> int:
        """Return a token id that depends only on the text, so that records of different runs are comparable."""
        token = 1 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
        self._texts[token] = text
        return token


class RemoteFakeEngine(TextEngine, FakeEngine):
    """A FakeEngine that returns text and token counts instead of token ids."""

    reason = REMOTE
    render = FakeEngine.render

    def generate(self, completions: Sequence[Completion], request: Request) -> None:
        FakeEngine.generate(self, completions, request)
        for completion, prompt in zip(completions, request.prompts, strict=True):
            assert isinstance(completion, TextCompletion)
            completion.count(len(self._ids_of(str(prompt))), completion.pieces)

    def _push(self, completion: Completion, token: int, now: float) -> bool:
        assert isinstance(completion, TextCompletion)
        if token != EOS:
            return completion.push_text(self._texts[token], now)
        completion.end("eos")
        return True
