"""A completion for answers that arrive as text, for example from an endpoint that returns no token ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from hforch.generation.completion import Answer, Completion, FinishReason, Vocabulary

IDS = ("prompt_ids", "output_ids")


class TextCompletion(Completion):
    """A `Completion` that receives pieces of text, of one or more tokens each, instead of token ids.

    Args:
        stops: stop sequences.
        most: maximum number of pieces of the answer.
        why: the reason why there are no token ids.
        on_text: called with each piece of text as soon as it is final.
    """

    def __init__(self, stops: Sequence[str], most: int, why: str, on_text: Callable[[str], None] | None = None) -> None:
        self._texts: list[str] = []
        self._why = why
        self._counted: tuple[int, int] | None = None
        pieces = Vocabulary(lambda places: "".join(self._texts[place] for place in places), {}, ())
        super().__init__(pieces, (), stops, most, on_text=on_text)

    def push_text(self, piece: str, now: float) -> bool:
        """Add the next piece, received at `now` (seconds, perf_counter).

        Returns:
            True if the answer is finished; later pieces are ignored.
        """
        self._texts.append(piece)
        return self.push(len(self._texts) - 1, now)

    def end(self, reason: FinishReason) -> None:
        """End the answer with the reported reason, unless it is already finished."""
        if self.finish_reason is None:
            self._finish(reason)

    def count(self, prompt_tokens: int, output_tokens: int) -> None:
        """Set the reported token counts."""
        self._counted = (prompt_tokens, output_tokens)

    @property
    def pieces(self) -> int:
        """The number of pieces of the answer."""
        return len(self._ids)

    @property
    def output_tokens(self) -> int | None:
        return None if self._counted is None else self._counted[1]

    def answer(self, submitted_at: float, started: float, finished: float) -> Answer:
        known = super().answer(submitted_at, started, finished)
        absent = known.absent | dict.fromkeys(IDS, self._why)
        return replace(known, prompt_ids=None, output_ids=None, absent=absent, counted=self._counted)
