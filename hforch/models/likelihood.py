"""Check a converted model: plain sentences must be far more likely than the same tokens in random order.

A GGUF file may load without an error and still generate nonsense if tensors or settings are mapped incorrectly. A
trained model finds sentences more likely than shuffled tokens, more likely than uniform guessing, and a token more
likely with more context. Values for SmolLM2-135M-Instruct, intact and damaged, in nats per token (uniform guessing:
-10.8; `near`: only NEAR tokens of context; `far`: all previous text):

                                  plain  shuffled    near    far
    intact                         -3.0      -8.3    -2.6   -2.0
    layers in reverse order       -15.0     -15.1
    norms off by one              -23.1     -22.9
    random weights                -10.9     -10.9
    gate and up exchanged         -18.3     -25.7                  worse than guessing
    halves of q and k exchanged    -3.8      -8.4    -3.2   -3.8   worse with more context: positions are wrong

The thresholds reject all damaged variants, with tolerance for small models and for languages other than English.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

MARGIN = 1.0  # nats per token; plain sentences must exceed shuffled ones and guessing by this
LOSS_BY_CONTEXT = 0.2  # maximum loss in nats per token with more context
BY_HEART = -1.0  # nats per token; above this, the model has memorized the sentences, and context has no effect
NEAR = 8
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
    """The mean log-probabilities per token, in nats; see the table above."""

    plain: float
    shuffled: float
    guessing: float
    near: float
    far: float

    def problem(self) -> str | None:
        """Return the failed condition with its values, or None. The comparisons are written so that NaN fails."""
        if not self.plain - self.shuffled >= MARGIN:
            return (
                f"plain sentences are hardly more likely than the same tokens shuffled: {self.plain:.2f} vs. "
                f"{self.shuffled:.2f} nats per token (expected difference: at least {MARGIN})"
            )
        if not self.plain - self.guessing >= MARGIN:
            return (
                f"plain sentences are hardly more likely than random tokens: {self.plain:.2f} vs. "
                f"{self.guessing:.2f} nats per token (expected difference: at least {MARGIN})"
            )
        if self.plain < BY_HEART and not self.far >= self.near - LOSS_BY_CONTEXT:
            return (
                f"the next token is less likely with more context: {self.far:.2f} vs. {self.near:.2f} nats per "
                f"token with only {NEAR} tokens of context, so positions are encoded incorrectly"
            )
        return None


def measure(model: Any, tokenizer: Any) -> Likelihood:
    """Measure the likelihood of SENTENCES, plain and shuffled with a fixed seed, and of their concatenation."""
    shuffle = random.Random(SEED).shuffle
    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    plain, shuffled = [], []
    for sentence in SENTENCES:
        ids = _ids(tokenizer, sentence)
        mixed = list(ids)
        shuffle(mixed)
        both = _log_probabilities(model, [start + ids, start + mixed])
        plain += both[0][len(start) :]
        shuffled += both[1][len(start) :]
    near, far = _near_and_far(model, _ids(tokenizer, " ".join(SENTENCES)))
    return Likelihood(_mean(plain), _mean(shuffled), -math.log(len(tokenizer)), near, far)


def _near_and_far(model: Any, text: list[int]) -> tuple[float, float]:
    """Return the mean log-probabilities of every third token, given NEAR tokens of context, and given all."""
    text = text[: getattr(model.config, "max_position_embeddings", None)]
    ends = range(NEAR + 1, len(text), 3)
    windows = _log_probabilities(model, [text[end - NEAR : end + 1] for end in ends])
    whole = _log_probabilities(model, [text])[0]
    return _mean([window[-1] for window in windows]), _mean([whole[end - 1] for end in ends])


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _log_probabilities(model: Any, texts: list[list[int]]) -> list[list[float]]:
    """Return the log-probabilities of all tokens but the first, of texts of equal length."""
    import torch

    with torch.inference_mode():
        tokens = torch.tensor(texts)
        log_probabilities = model(tokens).logits[:, :-1].float().log_softmax(-1)
        chosen: list[list[float]] = log_probabilities.gather(2, tokens[:, 1:, None])[..., 0].tolist()
    return chosen


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
