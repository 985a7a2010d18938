"""A bare forward pass over prompts, then over their texts in chunks; logits are discarded."""

from typing import Any

import numpy
import torch


def pytorch(model: Any, prompts: numpy.ndarray, mask: numpy.ndarray, texts: numpy.ndarray, chunk: int) -> None:
    """Run left-padded prompts with their mask, and texts of one length: int64 of shape (texts, tokens)."""
    with torch.inference_mode():
        ids, known = torch.from_numpy(prompts), torch.from_numpy(mask)
        places = (known.cumsum(1) - 1).clamp(min=0)
        out = model(input_ids=ids, attention_mask=known, position_ids=places, use_cache=True, logits_to_keep=1)
        for start in range(0, texts.shape[1] - 1, chunk):
            ids = torch.from_numpy(texts[:, start : min(start + chunk, texts.shape[1] - 1)])
            known = torch.cat([known, torch.ones_like(ids)], 1)
            places = (known.cumsum(1) - 1)[:, -ids.shape[1] :]
            cache = out.past_key_values
            out = model(input_ids=ids, attention_mask=known, position_ids=places, past_key_values=cache, use_cache=True)


def openvino(compiled: Any, prompts: numpy.ndarray, mask: numpy.ndarray, texts: numpy.ndarray, chunk: int) -> None:
    """Do the same with a stateful OpenVINO model."""
    request = compiled.create_infer_request()
    rows = numpy.arange(len(texts), dtype=numpy.int32)
    parts = [
        prompts,
        *(texts[:, at : min(at + chunk, texts.shape[1] - 1)] for at in range(0, texts.shape[1] - 1, chunk)),
    ]
    for number, ids in enumerate(parts):
        mask = mask if number == 0 else numpy.concatenate([mask, numpy.ones_like(ids)], 1)
        places = numpy.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        request.infer({"input_ids": ids, "attention_mask": mask, "position_ids": places, "beam_idx": rows})
