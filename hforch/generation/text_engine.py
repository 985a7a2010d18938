"""The engine of a model that answers with text alone, such as an endpoint that reports no token ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hforch.config.schema import Generation
from hforch.errors import GenerationError, PromptError
from hforch.generation.completion import Vocabulary
from hforch.generation.engine import RenderedChat, Request, SerialEngine
from hforch.generation.text_completion import TextCompletion


class TextEngine(SerialEngine):
    """An engine without a tokenizer. Its completions are `TextCompletion`: `generate` pushes pieces of text.

    Attributes:
        reason: why there are no token ids, for records.
    """

    reason: ClassVar[str]

    def completion(self, prompt: str, request: Request) -> TextCompletion:
        room = self.room(None, request.generation)
        most = room if request.token_limit is None else min(room, request.token_limit)
        return TextCompletion(request.stop, most, self.reason, request.on_text)

    def decoding(self, generation: Generation) -> dict[str, Any]:
        return {name: value for name, value in generation.model_dump().items() if value is not None}

    def render(self, messages: Sequence[Mapping[str, str]], kwargs: Mapping[str, Any]) -> RenderedChat:
        raise PromptError(f"there is no chat template here ({self.reason})")

    def prompt_tokens(self, prompt: str) -> int | None:
        return None

    def encode(self, prompt: str) -> list[int]:
        raise GenerationError(f"there is no tokenizer here ({self.reason})")

    def vocabulary(self) -> Vocabulary:
        raise GenerationError(f"there is no tokenizer here ({self.reason})")
