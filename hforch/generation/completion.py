"""Convert the tokens of an answer to text as they arrive, and detect when the answer is finished."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hforch.generation.detokenizer import Decode, Detokenizer, decode_all
from hforch.generation.stops import StopFinder

FinishReason = Literal["stop", "eos", "length", "error"]


@dataclass(frozen=True)
class Answer:
    """One finished answer.

    Attributes:
        text: the generated text, without prompt, stop sequence and special tokens.
        prompt_ids, output_ids: token ids, without EOS; None if only the text is known.
        finish_reason: why the answer ended.
        timings: milliseconds by name; unknown timings are missing.
        absent: reasons for missing timings and token ids, by name.
        counted: reported token counts of prompt and output, if the token ids are unknown.
    """

    text: str
    prompt_ids: tuple[int, ...] | None
    output_ids: tuple[int, ...] | None
    finish_reason: FinishReason
    timings: dict[str, float] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    counted: tuple[int, int] | None = None

    @property
    def numbers(self) -> tuple[int, int] | None:
        """The token counts of prompt and output; None if unknown."""
        if self.prompt_ids is not None and self.output_ids is not None:
            return len(self.prompt_ids), len(self.output_ids)
        return self.counted

    @property
    def usage(self) -> dict[str, int]:
        """The token counts by LangChain's names; empty if unknown."""
        if self.numbers is None:
            return {}
        prompt, output = self.numbers
        return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


@dataclass(frozen=True)
class Vocabulary:
    """The parts of a tokenizer that a completion needs.

    Attributes:
        decode: converts token ids to text, with special tokens and without cleanup.
        special: text of each special token, by id.
        eos: token ids that end an answer.
    """

    decode: Decode
    special: Mapping[int, str]
    eos: Collection[int]


def eos_ids(*named: Any) -> list[int]:
    """Return the sorted token ids that end an answer, from the first argument (an id or a list) that is not None."""
    found = next((one for one in named if one is not None), ())
    return sorted({int(one) for one in (found if isinstance(found, list | tuple) else [found])})


class Completion:
    """An answer that receives tokens one by one and ends its text right before the earliest stop sequence.

    Args:
        vocabulary: decodes token ids.
        prompt_ids: token ids of the prompt; a stop sequence cannot start in it.
        stops: stop sequences; the text of a special token also matches that token.
        max_tokens: maximum number of tokens of the answer.
        ignore_eos: continue after an EOS, which then counts as a token.
        on_text: called with each piece of text as soon as it is final.
        token_limit: end the answer after this many tokens, although the model is prepared for `max_tokens`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        prompt_ids: Sequence[int],
        stops: Sequence[str],
        max_tokens: int,
        ignore_eos: bool = False,
        on_text: Callable[[str], None] | None = None,
        token_limit: int | None = None,
    ) -> None:
        self.prompt_ids = tuple(prompt_ids)
        self.finish_reason: FinishReason | None = None
        self._vocabulary = vocabulary
        self._eos = frozenset() if ignore_eos else frozenset(vocabulary.eos)
        self.max_tokens = max_tokens
        self.limit = max_tokens if token_limit is None else min(max_tokens, token_limit)
        self._on_text = on_text
        self._ids: list[int] = []
        self._times: list[float] = []
        # Decode token by token only if stop sequences or a stream require it.
        self._follows = bool(stops) or on_text is not None
        self._detokenizer = Detokenizer(vocabulary.decode, vocabulary.special, prompt_ids) if self._follows else None
        self._finder = StopFinder(stops, vocabulary.special.values() if stops else ())
        self._pieces: list[tuple[int, str]] = []  # the text, as (position, piece)
        self._shown = 0  # number of pieces passed to on_text ...
        self._shown_part = 0  # ... and number of characters of the next piece
        self._starts: list[int] = []  # position in the text where each token starts

    def push(self, token: int, now: float) -> bool:
        """Add the next token, received at `now` (seconds, perf_counter).

        Returns:
            True if the answer is finished; later tokens are ignored.
        """
        if self.finish_reason is not None:
            return True
        self._ids.append(token)
        self._times.append(now)
        is_eos = token in self._eos
        hides = is_eos and token not in self._vocabulary.special  # an ordinary token that ends the answer is not text
        cut = self._follow(token) if self._follows and not hides else None
        if cut is not None:
            self._finish_at(cut)
        elif is_eos:
            self._drop_last(is_followed=not hides)
            self._finish("eos")
        elif len(self._ids) >= self.limit:
            self._finish("length")
        return self.finish_reason is not None

    def finish(self) -> None:
        """End an answer that is unfinished when the engine stops, with reason `length`."""
        if self.finish_reason is None:
            self._finish("length")

    def take(self, ids: Sequence[int]) -> None:
        """Add a complete answer, whose tokens have no times, as in beam search."""
        on_text, self._on_text = self._on_text, None
        for token in ids:
            if self.push(token, 0.0):
                break
        self.finish()
        self._times = []
        if on_text is not None and (text := self.text):
            on_text(text)

    def answer(self, submitted_at: float, started: float, finished: float) -> Answer:
        """Return the finished answer with its timings.

        Args:
            submitted_at: when the prompt was submitted, in seconds (perf_counter).
            started: when the engine started to process it.
            finished: when the final text was known.
        """
        timings = {"queue_ms": 1e3 * (started - submitted_at), "latency_ms": 1e3 * (finished - submitted_at)}
        absent: dict[str, str] = {}
        kept = len(self._ids)
        tokens = self.output_tokens
        if not self._times:
            absent["ttft_ms"] = absent["tpot_ms"] = (
                "no times of individual tokens (beam search returns all tokens at the end)"
            )
        else:
            timings["ttft_ms"] = 1e3 * (self._times[0] - started)
            if tokens is None:
                absent["tpot_ms"] = "the number of output tokens is unknown"
            elif tokens < 2:
                absent["tpot_ms"] = "fewer than two output tokens"
            else:
                timings["tpot_ms"] = 1e3 * (self._times[max(kept, 1) - 1] - self._times[0]) / (tokens - 1)
        timings = {name: round(value, 3) for name, value in timings.items()}
        return Answer(self.text, self.prompt_ids, tuple(self._ids), self.finish_reason or "error", timings, absent)

    @property
    def output_tokens(self) -> int | None:
        """The number of tokens of the answer so far; None if unknown."""
        return len(self._ids)

    @property
    def text(self) -> str:
        if self._follows:
            return "".join(piece for _, piece in self._pieces)
        vocabulary = self._vocabulary
        return decode_all(vocabulary.decode, vocabulary.special, self.prompt_ids, self._ids)

    def _follow(self, token: int) -> int | None:
        assert self._detokenizer is not None
        self._starts.append(self._finder.length)
        visible, hidden = self._detokenizer.push(token)
        return self._grow(visible, hidden)

    def _grow(self, visible: str, hidden: str = "") -> int | None:
        if not visible and not hidden:
            return None
        if visible:
            self._pieces.append((self._finder.length, visible))
        cut = self._finder.push(visible, hidden)
        self._show(self._finder.safe)
        return cut

    def _show(self, upto: int) -> None:
        if self._on_text is None:
            return
        ready = []
        while self._shown < len(self._pieces):
            at, piece = self._pieces[self._shown]
            end = min(len(piece), upto - at)
            ready.append(piece[self._shown_part : max(end, 0)])
            if end < len(piece):
                self._shown_part = max(end, self._shown_part)
                break
            self._shown, self._shown_part = self._shown + 1, 0
        if text := "".join(ready):
            self._on_text(text)

    def _finish_at(self, cut: int) -> None:
        self._pieces = [(at, piece[: cut - at]) for at, piece in self._pieces if at < cut]
        kept = sum(start < cut for start in self._starts)
        del self._ids[kept:]
        self.finish_reason = "stop"

    def _finish(self, reason: FinishReason) -> None:
        if self._detokenizer is not None:
            self._grow(self._detokenizer.flush())
            if (cut := self._finder.settle()) is not None:
                self._show(cut)
                return self._finish_at(cut)
            self._show(self._finder.length)
        self.finish_reason = reason
        return None

    def _drop_last(self, is_followed: bool) -> None:
        self._ids.pop()
        if self._starts and is_followed:
            self._starts.pop()
