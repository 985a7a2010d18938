"""Pass the tokens that transformers generates to the completions, step by step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from hforch.backends.huggingface.finite_logits import FiniteLogits, refuse
from hforch.generation.completion import Completion
from hforch.generation.engine import Request


def token_tap(
    completions: Sequence[Completion], request: Request, rows: int, beams: bool, finite: FiniteLogits, remedy: str
) -> Any:
    """Return a stopping criterion that passes new tokens to the completions and stops finished rows.

    Args:
        completions: the unfinished answers of the batch.
        request: the request that they belong to.
        rows: number of rows of the batch; those after the completions are padding and stop immediately.
        beams: whether beam search is used, which returns its tokens only at the end.
        finite: the logits processor of the same call; the criterion raises GenerationError if it has found a row that
            is not finished.
        remedy: what to try then.
    """
    import torch
    from transformers import StoppingCriteria

    class Tap(StoppingCriteria):
        def __init__(self) -> None:
            self.prompt_tokens = self.seen = max(len(completion.prompt_ids) for completion in completions)
            self.done = [False] * len(completions) + [True] * (rows - len(completions))
            self.done_mask: Any = None  # `done` on the model's device; cached, since copying it makes the host wait

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            if request.cancelled.is_set():
                return torch.ones(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
            if beams:
                self._refuse(input_ids, finite.broken())
                is_over = request.token_limit is not None and input_ids.shape[1] - self.seen >= request.token_limit
                return torch.full((input_ids.shape[0],), is_over, dtype=torch.bool, device=input_ids.device)
            new = input_ids[:, self.seen :].tolist()
            now = time.perf_counter()  # after reading the tokens, which waits for the GPU
            self._refuse(input_ids, {place for place in finite.broken() if not self.done[place]})
            self.seen = input_ids.shape[1]
            done = [_push(completion, tokens, now) for completion, tokens in zip(completions, new, strict=False)]
            if self.done_mask is None or done != self.done[: len(done)]:
                self.done[: len(done)] = done
                self.done_mask = torch.tensor(self.done, dtype=torch.bool, device=input_ids.device)
            return self.done_mask

        def _refuse(self, input_ids: Any, broken: set[int]) -> None:
            refuse(broken, len(completions), input_ids.shape[1] - self.prompt_tokens, remedy)

    return Tap()


def _push(completion: Completion, tokens: Sequence[int], now: float) -> bool:
    for token in tokens:
        finished = completion.push(token, now)
    return finished
