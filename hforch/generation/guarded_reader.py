"""A LogitReader that rejects texts whose logits would depend on how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hforch.errors import BackendError
from hforch.generation.logit_reader import Ids, LogitReader
from hforch.generation.padding import padding_counts

if TYPE_CHECKING:
    import numpy


class GuardedReader:
    """A LogitReader that never returns logits that depend on the other rows of a batch.

    Args:
        reader: the reader that runs the model.
        switch: number of tokens beyond which the model uses other RoPE frequencies (`architecture.longrope_switch`);
            None if it always uses the same.
        longest_prompt: number of tokens of the longest prompt that the model reads correctly; None if it reads any.

    Raises:
        BackendError: while reading, if a model treats padding as tokens and the prompts of a batch have different
            lengths, if a sequence crosses the switch, or if a prompt is too long.
    """

    def __init__(self, reader: LogitReader, switch: int | None, longest_prompt: int | None = None) -> None:
        self._reader, self._switch, self._longest_prompt = reader, switch, longest_prompt
        self._padding_counts: bool | None = None
        self.vocabulary, self.about = reader.vocabulary, reader.about

    def read(self, prompts: Sequence[Ids], texts: Sequence[Ids], chunk: int) -> Iterator[tuple[int, numpy.ndarray]]:
        shortest, longest = min(prompts, key=len), max(prompts, key=len)
        if self._switch is not None:
            most = max(len(prompt) + len(text) for prompt, text in zip(prompts, texts, strict=True))
            if len(shortest) <= self._switch < most:
                raise BackendError(
                    f"the model uses other RoPE frequencies (longrope) beyond {self._switch:,} tokens, so it cannot"
                    " read the logits of a text that crosses this length; use shorter texts"
                )
        if self._longest_prompt is not None and len(longest) > self._longest_prompt:
            raise BackendError(
                f"on this device, the model reads only prompts of at most {self._longest_prompt:,} tokens correctly"
            )
        if len(shortest) < len(longest):
            if self._padding_counts is None:
                self._padding_counts = padding_counts(self._next_logits, shortest, longest)
            if self._padding_counts:
                raise BackendError(
                    "the model treats padding as tokens, so it cannot read prompts of different lengths together; use"
                    " scoring.batch_size=1"
                )
        yield from self._reader.read(prompts, texts, chunk)

    def close(self) -> None:
        self._reader.close()

    def _next_logits(self, prompts: list[Ids]) -> numpy.ndarray:
        """Return the logits of the token after each prompt."""
        _, logits = next(iter(self._reader.read(prompts, [[0, 0]] * len(prompts), 1)))
        return logits[:, 0]
