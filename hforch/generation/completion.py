"""One answer while it is generated: tokens go in with their times, text comes out, and it knows when it is finished."""

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
        text: the generated text, without the prompt, the stop sequence and special tokens.
        prompt_ids, output_ids: the tokens, without the EOS; None where only text is known.
        timings: milliseconds by name; what cannot be known is not in it.
        absent: why a timing, or token ids, are not known, by name.
        counted: number of tokens of prompt and output, as reported by who generated them, if their ids are not known.
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
        """Numbers of tokens of prompt and output; None if they are not known."""
        if self.prompt_ids is not None and self.output_ids is not None:
            return len(self.prompt_ids), len(self.output_ids)
        return self.counted

    @property
    def usage(self) -> dict[str, int]:
        """Numbers of tokens by LangChain's names; empty if they are not known."""
        if self.numbers is None:
            return {}
        prompt, output = self.numbers
        return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


@dataclass(frozen=True)
class Vocabulary:
    """What a completion needs to know of a tokenizer.

    Attributes:
        decode: token ids to text, special tokens kept, nothing cleaned up.
        special: the text of each special token, by id.
        eos: the ids that end an answer.
    """

    decode: Decode
    special: Mapping[int, str]
    eos: Collection[int]


def eos_ids(*named: Any) -> list[int]:
    """Return the ids that end an answer: the first of these, an id or several, that is not None."""
    found = next((one for one in named if one is not None), ())
    return sorted({int(one) for one in (found if isinstance(found, list | tuple) else [found])})


class Completion:
    """Takes tokens one by one, and cuts the text right before the earliest stop sequence.

    Args:
        vocabulary: how ids become text.
        prompt_ids: the prompt; a stop sequence cannot begin in it.
        stops: stop sequences; a special token's text matches that token.
        room: the most tokens that the answer may have.
        ignore_eos: go on after an EOS, which then counts as a token.
        on_text: called with each piece of text as soon as it is certain.
        token_limit: end the answer after so many tokens, although the model is prepared for `room`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        prompt_ids: Sequence[int],
        stops: Sequence[str],
        room: int,
        ignore_eos: bool = False,
        on_text: Callable[[str], None] | None = None,
        token_limit: int | None = None,
    ) -> None:
        self.prompt_ids = tuple(prompt_ids)
        self.finish_reason: FinishReason | None = None
        self._vocabulary = vocabulary
        self._eos = frozenset() if ignore_eos else frozenset(vocabulary.eos)
        self.room = room
        self.limit = room if token_limit is None else min(room, token_limit)
        self._on_text = on_text
        self._ids: list[int] = []
        self._times: list[float] = []
        # Text is followed token by token only for those who need it then.
        self._follows = bool(stops) or on_text is not None
        self._detokenizer = Detokenizer(vocabulary.decode, vocabulary.special, prompt_ids) if self._follows else None
        self._finder = StopFinder(stops, vocabulary.special.values() if stops else ())
        self._pieces: list[tuple[int, str]] = []  # the text, each piece by its position
        self._shown = 0  # how many of the pieces have been given to on_text ...
        self._shown_part = 0  # ... and how many characters of the next
        self._starts: list[int] = []  # where in the text each token begins

    def push(self, token: int, now: float) -> bool:
        """Take the next token, known since `now` (seconds, perf_counter).

        Returns:
            True when the answer is finished; tokens pushed after that are ignored.
        """
        if self.finish_reason is not None:
            return True
        self._ids.append(token)
        self._times.append(now)
        cut = self._follow(token) if self._follows else None
        if cut is not None:
            self._finish_at(cut)
        elif token in self._eos:
            self._drop_last()
            self._finish("eos")
        elif len(self._ids) >= self.limit:
            self._finish("length")
        return self.finish_reason is not None

    def finish(self) -> None:
        """End an answer that the engine ended by itself (a limit of its own)."""
        if self.finish_reason is None:
            self._finish("length")

    def take(self, ids: Sequence[int]) -> None:
        """Take a whole answer whose tokens have no times (beam search knows them only at its end), as one piece."""
        on_text, self._on_text = self._on_text, None
        for token in ids:
            if self.push(token, 0.0):
                break
        self.finish()
        self._times = []
        if on_text is not None and (text := self.text):
            on_text(text)

    def answer(self, submitted_at: float, started: float, finished: float) -> Answer:
        """The finished answer, with its timings (all arguments in seconds, perf_counter).

        Args:
            submitted_at: when the prompt's text was handed over.
            started: when the engine began to work on it.
            finished: when its final text was known.
        """
        timings = {"queue_ms": 1e3 * (started - submitted_at), "latency_ms": 1e3 * (finished - submitted_at)}
        absent: dict[str, str] = {}
        kept = len(self._ids)
        tokens = self.output_tokens
        if not self._times:
            absent["ttft_ms"] = absent["tpot_ms"] = "the time of each token is not known (beam search ends at once)"
        else:
            timings["ttft_ms"] = 1e3 * (self._times[0] - started)
            if tokens is None:
                absent["tpot_ms"] = "the number of output tokens is not known"
            elif tokens < 2:
                absent["tpot_ms"] = "fewer than two output tokens"
            else:
                timings["tpot_ms"] = 1e3 * (self._times[max(kept, 1) - 1] - self._times[0]) / (tokens - 1)
        timings = {name: round(value, 3) for name, value in timings.items()}
        return Answer(self.text, self.prompt_ids, tuple(self._ids), self.finish_reason or "error", timings, absent)

    @property
    def output_tokens(self) -> int | None:
        """Number of tokens of the answer so far; None if it is not known."""
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

    def _drop_last(self) -> None:
        self._ids.pop()
        if self._starts:
            self._starts.pop()
