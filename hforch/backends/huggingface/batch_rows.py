"""Decide which prompts of a batch can be answered together without changing each other's answers.

Shorter prompts are padded on the left, which some models treat as tokens (`generation/padding.py`). With RoPE scaling
`longrope`, the longest row of a batch determines the frequencies of all its rows. Prompts of the same length are
unaffected by both.
"""

from __future__ import annotations

from collections.abc import Sequence


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
