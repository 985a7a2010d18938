"""Effect of the settings in conf/backend/openvino_genai.yaml, measured alternately.

Each variant changes one key of the defaults. All engines are loaded in this process, and run the chat workload one
after another in each round. A number before each question makes the prompts of each round new, so that prefix caching
only finds the system message.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

from bench.generation import timed
from bench.scale import Scale
from bench.startup import prepared
from bench.tables import Table
from bench.workload import CHAT_TOKENS, prompts

WORDS = ("backend=openvino_genai", "precision=int8")
USER = "<|im_start|>user\n"
SETTINGS = {
    "the defaults": (),
    **{f"max_num_seqs={n}": (f"backend.max_num_seqs={n}",) for n in (8, 16, 32, 128)},
    **{f"max_num_batched_tokens={n}": (f"backend.max_num_batched_tokens={n}",) for n in (64, 1024)},
    "enable_prefix_caching=true": ("backend.enable_prefix_caching=true",),
}


def run(scale: Scale) -> Iterator[Table]:
    from hforch import load_llm
    from hforch.generation.engine import RenderedChat

    tokens, rounds = scale.pick(CHAT_TOKENS, 2), scale.rounds(2)
    rendered = prompts("chat", prepared(*WORDS))[: scale.pick(None, 2)]
    most = f"generation.max_new_tokens={tokens}"
    settings = dict([*SETTINGS.items()][: scale.pick(None, 2)])
    engines = {name: load_llm(*WORDS, *words, most) for name, words in settings.items()}
    took: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds + 1):
        texts = [RenderedChat(text.replace(USER, f"{USER}{number}. ")) for text in rendered]
        for name, llm in engines.items():
            seconds = timed(partial(llm.batch, texts))
            if number:  # the first round warms up
                took[name].append(seconds)
    usual = median(took["the defaults"])
    rows = []
    for name, rounds_s in took.items():
        each = " ".join(f"{one:.1f}" for one in rounds_s)
        rows.append((name, f"{median(rounds_s):.1f}", each, f"{median(rounds_s) / usual:.2f}"))
    title = f"{len(rendered)} chat prompts, {tokens} new tokens"
    yield Table(title, ("setting", "seconds", "each round", "relative to defaults"), rows)
