"""The base class of engines that return only text, for example from an endpoint without token ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hforch.config.schema import Generation
from hforch.errors import GenerationError, PromptError
from hforch.generation.completion import Vocabulary
from hforch.generation.engine import RenderedChat, Request, SerialEngine
from hforch.generation.text_completion import TextCompletion


class TextEngine(SerialEngine):
    """An engine without a tokenizer; `generate` pushes pieces of text to `TextCompletion` objects.

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

    def render(self, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]) -> RenderedChat:
        raise PromptError(f"this engine has no chat template ({self.reason})")

    def prompt_tokens(self, prompt: str) -> int | None:
        return None

    def encode(self, prompt: str) -> list[int]:
        raise GenerationError(f"this engine has no tokenizer ({self.reason})")

    def vocabulary(self) -> Vocabulary:
        raise GenerationError(f"this engine has no tokenizer ({self.reason})")
