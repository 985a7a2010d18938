"""The continuous batching engine of openvino_genai: new requests join the running batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from hforch.backends.genai.generation_config import filled, settings
from hforch.backends.genai.scheduler import ActiveSequence, PendingRequest, Scheduler
from hforch.config.backends.openvino_genai import LOOKUP_HINT, LOOKUP_PROBLEM
from hforch.config.schema import Generation
from hforch.errors import UnknownArgument
from hforch.generation.completion import Answer, Vocabulary
from hforch.generation.engine import Engine, RenderedChat, Request
from hforch.generation.file_tokenizer import FileTokenizer
from hforch.generation.request_queue import GRACE_S
from hforch.models.tokenizers import check_ids


class ContinuousEngine(Engine):
    """openvino-genai's engine with continuous batching.

    Args:
        pipe: the ContinuousBatchingPipeline.
        tokenizer: the model's tokenizer.
        eos: token ids that end an answer.
        shipped: contents of the checkpoint's generation_config.json.
        identity: everything that determines the answers of the model, for LangChain's cache.
        context_length: maximum number of tokens of prompt and answer; None if unlimited or unknown.
        together: maximum number of sequences that run at the same time.
        extra: additional fields of each GenerationConfig, for prompt lookup; empty without it.
        rows: number of rows of the embedding matrix; None if unknown.
    """

    def __init__(
        self,
        pipe: Any,
        tokenizer: FileTokenizer,
        eos: Sequence[int],
        shipped: Mapping[str, Any],
        identity: Mapping[str, Any],
        context_length: int | None,
        together: int,
        extra: Mapping[str, Any],
        rows: int | None = None,
    ) -> None:
        self.rows = rows
        self.tokenizer, self.eos, self.shipped, self.extra = tokenizer, tuple(eos), shipped, extra
        self.identity, self.context_length = identity, context_length
        self._vocabulary = tokenizer.vocabulary(eos)
        self.pipe = pipe
        self._scheduler = Scheduler(pipe, together)

    def submit(self, request: Request) -> Future[list[Answer]]:
        return self._scheduler.submit(self._rows, request)

    def settle(self) -> None:
        self._scheduler.settle()

    def close(self) -> None:
        # The thread that has run the pipeline must also destroy it: openvino-genai may crash if another thread does so
        # while that thread exits.
        self.pipe = None
        self._scheduler.close()

    @property
    def is_closed(self) -> bool:
        return self._scheduler.is_closed

    def free(self) -> None:
        self.close()
        self._scheduler.join(GRACE_S)

    def encode(self, prompt: str) -> list[int]:
        ids = self.tokenizer.encode(prompt)
        check_ids(ids, self.rows)
        return ids

    def render(self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> RenderedChat:
        return self.tokenizer.render(messages, kwargs)

    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    def decoding(self, generation: Generation) -> dict[str, Any]:
        values = self._settings(generation, generation.max_new_tokens or 1, seed=0)
        values.pop("rng_seed", None)
        return values | {
            "max_new_tokens": generation.max_new_tokens,
            "max_length": generation.max_length,
            "context_length": self.context_length,
        }

    def _settings(self, generation: Generation, limit: int, seed: int) -> dict[str, Any]:
        values = settings(filled(generation, self.shipped), limit, self.eos, seed)
        if self.extra and (beams := values.get("num_beams", 1)) > 1:
            raise UnknownArgument(f"num_beams={beams}: {LOOKUP_PROBLEM}; {LOOKUP_HINT}")
        return values | dict(self.extra)

    def _rows(self, pending: PendingRequest) -> list[ActiveSequence]:
        rows = []
        for place, prompt in enumerate(pending.request.prompts):
            started = time.perf_counter()
            completion = self.completion(prompt, pending.request)
            took = time.perf_counter() - started
            values = self._settings(pending.request.generation, completion.limit, pending.request.seed)
            if "min_new_tokens" in values:  # the checkpoint's value may exceed the token limit of the request
                values["min_new_tokens"] = min(values["min_new_tokens"], completion.limit)
            rows.append(ActiveSequence(pending, place, completion, values, took))
        return rows
