"""Overhead of a chain through hforch over the same generation with the bare library, on one loaded model.

The bare peer only does what is needed for the same text: render the prompt, tokenize, `model.generate`, decode. It has
no stop sequences even where hforch has them: transformers' own `stop_strings` would slow it down more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.ratios import Ratio, in_turns
from bench.scale import Scale

QUESTION = {"question": "What is electroencephalography?"}
TEMPLATE = "Question: {question}\n\nAnswer: Let's think step by step."
# None of them occurs in the answer, or starts like it: streaming would hold such a start back.
STOPS = ["Question:", "<|im_end|>", "Human:", "Observation:"]
INVOKE, FIRST = 1.03, 1.05


def pytorch(scale: Scale) -> Iterator[Ratio]:
    return measure("pytorch", scale, 32, "backend=pytorch")


def openvino(scale: Scale) -> Iterator[Ratio]:
    return measure("openvino int8", scale, 64, "backend=openvino", "precision=int8")


def measure(name: str, scale: Scale, tokens: int, *overrides: str) -> Iterator[Ratio]:
    from hforch import load_chain

    rounds, tokens = scale.rounds(9), scale.pick(tokens, 2)
    chain = load_chain(*overrides, "prompt=step_by_step", f"generation.max_new_tokens={tokens}")
    bare = Bare(chain.last.engine.model, chain.last.engine.tokenizer, tokens)
    stopped = chain.first | chain.last.bind(stop=STOPS)
    assert chain.invoke(QUESTION) == stopped.invoke(QUESTION) == "".join(chain.stream(QUESTION)) == bare.text()

    def pair(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], target: float) -> Ratio:
        return in_turns(f"{name}: {what}", lambda: timed(ours), lambda: timed(theirs), rounds, target)

    yield pair("invoke", lambda: chain.invoke(QUESTION), bare.text, INVOKE)
    yield pair("invoke, with stops", lambda: stopped.invoke(QUESTION), bare.text, INVOKE)
    yield pair("stream", lambda: list(chain.stream(QUESTION)), bare.streamed, INVOKE)
    yield pair("stream, with stops", lambda: list(stopped.stream(QUESTION)), bare.streamed, INVOKE)
    short = chain.first | chain.last.with_arguments(max_new_tokens=2)
    short_stopped = chain.first | chain.last.with_arguments(max_new_tokens=2, stop=STOPS)
    many = scale.pick(10 * rounds, 1)  # each takes a fraction of the time of a whole answer
    yield in_turns(f"{name}: first token", lambda: first_piece(short), bare.first_token, many, FIRST)
    yield in_turns(
        f"{name}: first token, with stops", lambda: first_piece(short_stopped), bare.first_token, many, FIRST
    )


class Bare:
    """The bare `generate` of transformers or optimum-intel."""

    def __init__(self, model: Any, tokenizer: Any, tokens: int) -> None:
        from transformers import GenerationConfig

        self.model, self.tokenizer = model, tokenizer
        ends = model.generation_config.eos_token_id
        common = {"do_sample": False, "eos_token_id": ends, "pad_token_id": tokenizer.pad_token_id}
        self.config = GenerationConfig(max_new_tokens=tokens, **common)
        self.short = GenerationConfig(max_new_tokens=2, **common)

    def text(self) -> str:
        inputs = self._inputs()
        ids = self.model.generate(**inputs, generation_config=self.config)
        return str(self.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))

    def streamed(self) -> list[str]:
        """Stream with transformers' own TextStreamer, which emits whole words."""
        from transformers import TextStreamer

        pieces: list[str] = []

        class Collecting(TextStreamer):
            def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
                pieces.append(text)

        streamer = Collecting(self.tokenizer, skip_prompt=True)
        self.model.generate(**self._inputs(), generation_config=self.config, streamer=streamer)
        return pieces

    def first_token(self) -> float:
        """Return the seconds until the first generated token is decoded."""
        from transformers.generation.streamers import BaseStreamer

        tokenizer, seen = self.tokenizer, []

        class First(BaseStreamer):
            def put(self, value: Any) -> None:
                if len(seen) < 2:
                    tokenizer.decode(value.flatten())
                    seen.append(time.perf_counter())

            def end(self) -> None: ...

        started = time.perf_counter()
        self.model.generate(**self._inputs(), generation_config=self.short, streamer=First())
        return seen[1] - started

    def _inputs(self) -> Any:
        return self.tokenizer(TEMPLATE.format(**QUESTION), return_tensors="pt")


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def first_piece(chain: Any) -> float:
    """Return the seconds until the first text; the rest of the stream is consumed."""
    started, first = time.perf_counter(), 0.0
    for piece in chain.stream(QUESTION):
        if piece and not first:
            first = time.perf_counter() - started
    return first
