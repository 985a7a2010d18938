"""Find models that treat padding as tokens before a prompt, so that prompts of different lengths cannot share a batch.

Most architectures mask padding and number the tokens without it. Some, such as BART's decoder, number the positions of
the batch instead, which moves a padded prompt to other positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

NOISE = 0.05
"""The largest root mean square difference of logits that rounding causes, in standard deviations of the logits.

Padding that counts as positions causes a difference of about 1, quantized activations one of about 0.01.
"""


def padding_counts(
    next_logits: Callable[[list[Sequence[int]]], numpy.ndarray], short: Sequence[int], long: Sequence[int]
) -> bool:
    """Return whether a model's logits for a prompt change if a longer prompt is in the same batch.

    Args:
        next_logits: return the logits of the token after each prompt, of shape (prompts, vocabulary).
        short, long: token ids of two prompts.
    """
    alone, padded = next_logits([short])[0].copy(), next_logits([short, long])[0]
    return bool(((alone - padded) ** 2).mean() ** 0.5 > NOISE * alone.std())
