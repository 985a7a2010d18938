"""openvino-genai: one stream vs. the bare engine, concurrent calls vs. a batch, and prompt lookup."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial

from bench.bare import genai
from bench.generation import timed
from bench.ratios import Ratio, in_turns
from bench.scale import Scale
from bench.startup import prepared
from bench.workload import CHAT_TOKENS, SUMMARISE, prompts

STREAM, CONCURRENT, LOOKUP = 1 / 0.97, 1.15, 1.0
WORDS = ("backend=openvino_genai", "precision=int8")
STREAMED, SUMMARY = 128, 96


def one_stream(scale: Scale) -> Iterator[Ratio]:
    """Measure seconds from the first to the last piece of text, for the same number of tokens."""
    from hforch import load_llm

    folder = prepared(*WORDS)
    prompt, pipe, llm = prompts("chat", folder)[0], genai.load(str(folder)), load_llm(*WORDS)
    config = pipe.get_config()
    tokens = scale.pick(STREAMED, 8)  # the first piece of text may contain several
    config.max_new_tokens, config.apply_chat_template, config.ignore_eos = tokens, False, True

    def bare() -> float:
        times: list[float] = []
        pipe.generate([prompt], [config], lambda piece: times.append(time.perf_counter()))
        return times[-1] - times[0]

    def ours() -> float:
        stream = llm.stream(prompt, max_new_tokens=tokens, ignore_eos=True)
        times = [time.perf_counter() for piece in stream if piece]
        return times[-1] - times[0]

    yield in_turns("openvino_genai int8: decoding one stream", ours, bare, scale.rounds(9), STREAM)


def many_calls(scale: Scale) -> Iterator[Ratio]:
    """Compare 64 concurrent `ainvoke` calls with one batch of the same prompts."""
    from hforch import load_llm

    llm = load_llm(*WORDS, f"generation.max_new_tokens={scale.pick(CHAT_TOKENS, 2)}")
    texts = prompts("chat", prepared(*WORDS))[: scale.pick(None, 4)]

    async def together() -> None:
        await asyncio.gather(*(llm.ainvoke(text) for text in texts))

    yield in_turns(
        f"openvino_genai int8: {len(texts)} x ainvoke, vs. a batch of {len(texts)}",
        lambda: timed(lambda: asyncio.run(together())),
        lambda: timed(lambda: llm.batch(texts)),
        scale.rounds(5),
        CONCURRENT,
    )


def prompt_lookup(scale: Scale) -> Iterator[Ratio]:
    """Summarize a log, and repeat it line by line, with and without prompt lookup."""
    from hforch import load_llm

    tokens = scale.pick(SUMMARY, 2)
    summarise = prompts("long", prepared(*WORDS))[0]
    asked = {"summarizing": summarise, "repeating": summarise.replace(SUMMARISE, "Repeat the log line by line.")}
    looking = load_llm(*WORDS, "backend.prompt_lookup=true", f"generation.max_new_tokens={tokens}")
    plain = load_llm(*WORDS, f"generation.max_new_tokens={tokens}")
    for what, text in [*asked.items()][: scale.pick(None, 1)]:
        yield in_turns(
            f"openvino_genai int8: {what} with prompt lookup, vs. without",
            partial(timed, partial(looking.invoke, text)),
            partial(timed, partial(plain.invoke, text)),
            scale.rounds(7),
            LOOKUP,
        )
