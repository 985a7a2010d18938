"""Create openvino-genai's continuous batching pipeline, and pass it requests as token ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hforch.backends.genai.generation_config import generation_config


def open_pipeline(
    folder: Path, tokenizer: Path, device: str, scheduler: Mapping[str, Any], properties: Mapping[str, Any]
) -> Any:
    """Return a ContinuousBatchingPipeline.

    Args:
        folder: the directory of the IR.
        tokenizer: the directory of its converted tokenizer.
        scheduler: fields of SchedulerConfig; None keeps openvino-genai's default.
        properties: OpenVINO properties.
    """
    import openvino_genai

    config = openvino_genai.SchedulerConfig()
    config.cache_size = 0  # the cache grows as needed
    for name, value in scheduler.items():
        if value is not None:
            setattr(config, name, value)
    own = openvino_genai.Tokenizer(str(tokenizer))
    return openvino_genai.ContinuousBatchingPipeline(str(folder), own, config, device, **properties)


def token_tensor(ids: Sequence[int]) -> Any:
    """Return token ids as a tensor of shape (1, tokens)."""
    import numpy
    import openvino

    return openvino.Tensor(numpy.array([ids], dtype=numpy.int64))


def generate(pipe: Any, requests: Sequence[tuple[Sequence[int], Mapping[str, Any]]]) -> list[Any]:
    """Complete prompts with a pipeline that has no scheduler thread; return the first GenerationOutput of each.

    Args:
        requests: token ids of each prompt, with fields of GenerationConfig.
    """
    handles = [
        pipe.add_request(number, token_tensor(ids), generation_config(values))
        for number, (ids, values) in enumerate(requests)
    ]
    while pipe.has_non_finished_requests():
        pipe.step()
    return [handle.read_all()[0] for handle in handles]
