"""python -m bench.scheduler [--rounds N]: what the settings of conf/backend/openvino_genai.yaml are worth, in turns.

Each setting differs from the defaults in one key. The engines live side by side in this process, and do the chat
workload one after the other, round by round. A number before each question makes the prompts of each round new: what
prefix caching finds is the system message alone.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from statistics import median

from rich.table import Table

from bench.__main__ import begun
from bench.generation import timed
from bench.startup import prepared
from bench.workload import CHAT_TOKENS, prompts

WORDS = ("backend=openvino_genai", "precision=int8", f"generation.max_new_tokens={CHAT_TOKENS}")
USER = "<|im_start|>user\n"
SETTINGS = {
    "the defaults": (),
    **{f"max_num_seqs={n}": (f"backend.max_num_seqs={n}",) for n in (8, 16, 32, 128)},
    **{f"max_num_batched_tokens={n}": (f"backend.max_num_batched_tokens={n}",) for n in (64, 1024)},
    "enable_prefix_caching=true": ("backend.enable_prefix_caching=true",),
}


def main() -> int:
    from hforch import load_llm
    from hforch.backends.engine import RenderedChat

    parser = argparse.ArgumentParser("python -m bench.scheduler", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each does the workload (3)")
    rounds = parser.parse_args().rounds
    console = begun()
    rendered = prompts("chat", prepared(*WORDS))
    engines = {name: load_llm(*WORDS, *words) for name, words in SETTINGS.items()}
    took: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds + 1):
        texts = [RenderedChat(text.replace(USER, f"{USER}{number}. ")) for text in rendered]
        for name, llm in engines.items():
            seconds = timed(partial(llm.batch, texts))
            if number:  # the first round warms up
                took[name].append(seconds)
    table = Table("setting", "seconds", "each round", "of the defaults", title="64 chat prompts, 128 new tokens")
    usual = median(took["the defaults"])
    for name, rounds_s in took.items():
        each = " ".join(f"{one:.1f}" for one in rounds_s)
        table.add_row(name, f"{median(rounds_s):.1f}", each, f"{median(rounds_s) / usual:.2f}")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
