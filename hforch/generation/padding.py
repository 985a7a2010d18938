"""Find models that treat padding as tokens before a prompt, so that prompts of different lengths cannot share a batch.

Most architectures mask padding and number the tokens without it. Some, such as BART's decoder, number the positions of
the batch instead, which moves a padded prompt to other positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy

NOISE = 0.12
"""The largest root mean square difference of logits that rounding causes, in standard deviations of the logits.

Measured with the probe texts: SmolLM2 on torch in fp32, bf16 and int8 1e-5, on OpenVINO in int8 0.03 and in int4 0.06
(quantized activations and KV cache). Padding that counts as positions: 0.18 to 1.3 with random weights.
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
