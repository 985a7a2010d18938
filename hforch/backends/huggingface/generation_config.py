"""Convert the `generation` group to a transformers GenerationConfig with every setting explicit."""

from __future__ import annotations

import copy
from typing import Any

from hforch.config.schema import Generation

PASSED = (
    "num_beams",
    "length_penalty",
    "early_stopping",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "min_new_tokens",
)
SAMPLED = ("temperature", "top_k", "top_p", "min_p", "typical_p")
# Settings that generation=checkpoint reads from the checkpoint: those that affect the choice of the next token. The
# answer length is excluded, and so are generation modes that yield several tokens at a time or need another model.
SHIPPED = (
    *("do_sample", "num_beams", "length_penalty", "early_stopping", "renormalize_logits"),
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
    *("repetition_penalty", "no_repeat_ngram_size", "exponential_decay_length_penalty", "min_new_tokens"),
    *("bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "sequence_bias", "guidance_scale"),
)
NEUTRAL = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}  # sampling from the model's unmodified distribution


def generation_config(generation: Generation, shipped: Any, eos: list[int], pad: int, limit: int) -> Any:
    """Return the GenerationConfig for one call.

    Args:
        generation: the settings; None means not applied, or the checkpoint's value with `from_checkpoint`.
        shipped: the checkpoint's GenerationConfig.
        eos: token ids that end an answer.
        pad: token id for padding; its value does not matter, because padding is masked.
        limit: maximum number of new tokens.
    """
    from transformers import GenerationConfig

    config = GenerationConfig()
    for name in SHIPPED if generation.from_checkpoint else ():
        if (value := getattr(shipped, name, None)) is not None:
            setattr(config, name, copy.deepcopy(value))
    do_sample = bool(config.do_sample) if generation.do_sample is None else generation.do_sample
    config.do_sample = do_sample and generation.temperature != 0
    for name in SAMPLED:
        value = getattr(generation, name)
        if not config.do_sample:
            setattr(config, name, None)
        elif value is not None:
            setattr(config, name, value)
        elif not generation.from_checkpoint:
            setattr(config, name, NEUTRAL.get(name))
    for name in PASSED:
        if (value := getattr(generation, name)) is not None:
            setattr(config, name, value)
    config.max_length, config.min_length = None, None
    config.max_new_tokens = limit
    config.eos_token_id = eos if eos and not generation.ignore_eos else None
    config.pad_token_id = pad
    config.num_return_sequences, config.return_dict_in_generate, config.use_cache = 1, False, True
    config.stop_strings = None
    return config


def neutral_config(pad: int) -> Any:
    """Return an empty GenerationConfig that replaces the model's own during generation.

    Otherwise transformers would fill unset fields from the model's own.
    """
    from transformers import GenerationConfig

    return GenerationConfig(pad_token_id=pad)


def effective(config: Any) -> dict[str, Any]:
    """Return the settings of a GenerationConfig that differ from the defaults, for the record."""
    noise = {
        "transformers_version",
        "pad_token_id",
        "bos_token_id",
        "return_dict_in_generate",
        "use_cache",
        "num_return_sequences",
    }
    return {name: value for name, value in sorted(config.to_diff_dict().items()) if name not in noise}
