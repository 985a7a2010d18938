"""Detect NaN and infinite logits, from which no answer can be generated.

Greedy decoding would choose an arbitrary token, and sampling fails with an error that does not name the cause; on CUDA,
the process cannot use the device afterwards.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy
from transformers import LogitsProcessor

from hforch.errors import GenerationError


class FiniteLogits(LogitsProcessor):
    """A logits processor that finds rows whose highest logit is NaN or infinite, and replaces their logits with zeros.

    Logits of minus infinity are allowed, since other processors exclude tokens with them.

    Args:
        beams: number of rows per prompt.
    """

    def __init__(self, beams: int = 1) -> None:
        self._beams = beams
        self._broken: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if scores.device.type == "cpu":
            # numpy uses one thread; torch would start several, which takes longer than finding the maximum.
            self._broken = ~numpy.isfinite(scores.numpy().max(axis=1))
            if self._broken.any():
                scores[self._broken] = 0.0
            return scores
        self._broken = ~scores.amax(dim=-1).isfinite()  # not copied to the host, which would make it wait
        return scores.masked_fill(self._broken[:, None], 0.0)

    def broken(self) -> set[int]:
        """Return the positions of the prompts of the rows found in the last step."""
        found = () if self._broken is None else self._broken.tolist()
        return {row // self._beams for row, is_broken in enumerate(found) if is_broken}


def refuse(broken: Collection[int], prompts: int, token: int, remedy: str) -> None:
    """Raise GenerationError if any prompt has no finite logits.

    Args:
        broken: positions of these prompts in their batch.
        prompts: number of prompts in the batch.
        token: number of the token that the logits predict, from 1.
        remedy: what to try.
    """
    if not broken:
        return
    numbers = ", ".join(str(place + 1) for place in sorted(broken))
    which = "" if prompts == 1 else f" for prompt{'s' * (len(broken) > 1)} {numbers} of {prompts} in the batch"
    raise GenerationError(
        f"the model returned NaN or infinite logits{which} at token {token} of the answer: the weights may be damaged,"
        f" or values too large for the precision; try {remedy}"
    )
