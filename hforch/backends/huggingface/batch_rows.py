"""Decide which prompts of a batch can be answered together without changing each other's answers.

Shorter prompts are padded on the left. Most architectures mask the padding and number the tokens without it. Some
(BART's decoder and its relatives) number the positions of the batch instead, so padding moves a prompt to other
positions. And with RoPE scaling `longrope`, the longest row of a batch determines the frequencies of all its rows.
Prompts of the same length are unaffected by both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NOISE = 0.05
"""The largest root mean square difference of logits that rounding causes, in standard deviations of the logits.

Padding that counts as positions causes a difference of about 1, quantized activations one of about 0.01.
"""


def together(
    prompt_tokens: Sequence[int], max_tokens: Sequence[int], padding_counts: bool, switch: int | None
) -> list[list[int]]:
    """Split a batch into parts to be answered one after another; return the positions of the prompts in each.

    Args:
        prompt_tokens: number of tokens of each prompt.
        max_tokens: maximum number of tokens of each answer.
        padding_counts: whether the model treats padding as tokens before the prompt.
        switch: the number of tokens beyond which the model uses other RoPE frequencies for the whole batch; None if it
            always uses the same.
    """
    everything = list(range(len(prompt_tokens)))
    if padding_counts:
        return _by_length(everything, prompt_tokens)
    if switch is None:
        return [everything]
    beyond = [place for place in everything if prompt_tokens[place] > switch]
    rest = [place for place in everything if prompt_tokens[place] <= switch]
    parts = [beyond] if beyond else []
    if rest:
        longest = max(prompt_tokens[place] for place in rest) + max(max_tokens[place] for place in rest)
        parts += [rest] if longest <= switch else _by_length(rest, prompt_tokens)
    return parts


def _by_length(places: Sequence[int], prompt_tokens: Sequence[int]) -> list[list[int]]:
    lengths = sorted({prompt_tokens[place] for place in places}, reverse=True)
    return [[place for place in places if prompt_tokens[place] == length] for length in lengths]


def difference(logits: Any, others: Any) -> float:
    """Return the root mean square difference of two vectors of logits, in standard deviations of the first."""
    logits, others = logits.float(), others.float()
    return float((logits - others).square().mean().sqrt() / logits.std().clamp_min(1e-9))
