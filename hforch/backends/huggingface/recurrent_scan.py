"""Find models of which transformers reads long prompts incorrectly."""

from __future__ import annotations

import sys
from typing import Any

from hforch.errors import PromptError

SCANNED = ("zamba2", "nemotron_h")
"""Architectures whose scan transformers (5.5) computes incorrectly on torch.

Without the CUDA kernels of mamba-ssm, it reads a prompt in chunks, and sums the decays between them over the wrong
axis: the states after the first chunk are wrong, and depend on later tokens.
"""


def longest_prompt(model: Any) -> int | None:
    """Return the number of tokens of the longest prompt that a transformers model reads correctly; None if any."""
    config = model.config.get_text_config()
    if config.model_type not in SCANNED:
        return None
    has_kernels = getattr(sys.modules.get(type(model).__module__), "is_fast_path_available", False)
    return None if has_kernels and model.device.type == "cuda" else int(config.chunk_size)


def refuse_longer(prompt_tokens: int, longest: int | None) -> None:
    """Raise PromptError if a prompt has more tokens than the model reads correctly."""
    if longest is not None and prompt_tokens > longest:
        raise PromptError(
            f"the prompt has {prompt_tokens:,} tokens; without the kernels of the package mamba-ssm on a CUDA device,"
            f" transformers reads only prompts of at most {longest:,} tokens correctly for this architecture;"
            " shorten the prompt"
        )
