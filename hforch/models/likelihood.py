"""Does a converted model speak? Plain sentences must be far more likely than the same tokens shuffled.

A GGUF file can load without an error and still generate nonsense, when tensors or settings are mapped wrongly. A model
that has learned a language finds sentences far more likely than the same tokens in disorder, and far more likely than
guessing among all tokens. Measured on SmolLM2-135M-Instruct, in nats a token (guessing among its tokens: -10.8):

    as it is                      -3.0 against  -8.3
    layers in reverse order      -15.0 against -15.1
    norms off by one             -23.1 against -22.9
    gate and up exchanged        -18.3 against -25.7   only guessing tells
    random weights               -10.9 against -10.9
    halves of q and k exchanged   -3.8 against  -8.4   not found: it still speaks, only worse

So MARGIN refuses what is wrecked, and leaves room for small models and for other languages than English.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

MARGIN = 1.0  # nats a token, over the shuffled sentences and over guessing
SEED = 7
SENTENCES = (
    "The cat sat on the mat and looked out of the window at the birds in the garden.",
    "Paris is the capital of France, and it lies on the river Seine.",
    "She went to the market in the morning to buy some bread, milk and eggs.",
    "Water boils at one hundred degrees Celsius at sea level.",
    "He opened the door, turned on the light, and sat down at the table.",
    "The children played in the park until it was time to go home.",
    "In the winter the days are short and the nights are long.",
    "If you want to learn a language, you should practice it every day.",
)


@dataclass(frozen=True)
class Likelihood:
    """Mean log-probabilities per token, in nats."""

    plain: float
    shuffled: float
    guessing: float

    @property
    def makes_sense(self) -> bool:
        return self.plain - max(self.shuffled, self.guessing) >= MARGIN  # false for NaN as well


def measure(model: Any, tokenizer: Any) -> Likelihood:
    """How likely a causal model finds SENTENCES, and the tokens of each shuffled with a fixed seed."""
    shuffle = random.Random(SEED).shuffle
    plain = [tokenizer(sentence, add_special_tokens=False)["input_ids"] for sentence in SENTENCES]
    shuffled = [list(ids) for ids in plain]
    for ids in shuffled:
        shuffle(ids)
    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    return Likelihood(
        plain=_mean_log_probability(model, plain, start),
        shuffled=_mean_log_probability(model, shuffled, start),
        guessing=-math.log(len(tokenizer)),
    )


def _mean_log_probability(model: Any, texts: list[list[int]], start: list[int]) -> float:
    """Over all tokens of all texts but each text's first, which has nothing to go by."""
    import torch

    total, count = 0.0, 0
    with torch.inference_mode():
        for ids in texts:
            tokens = torch.tensor([start + ids])
            log_probabilities = model(tokens).logits[0].float().log_softmax(-1)
            first = len(start) + 1
            chosen = log_probabilities[first - 1 : -1].gather(1, tokens[0, first:, None])
            total, count = total + float(chosen.sum()), count + chosen.numel()
    return total / count
