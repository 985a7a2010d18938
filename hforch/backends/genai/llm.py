"""LangChain's LLM over openvino-genai."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hforch.backends.genai.engine import ContinuousEngine
from hforch.generation.engine_llm import EngineLLM


class GenAILLM(EngineLLM):
    """LangChain's BaseLLM over openvino-genai, with hforch's promises.

    `batch_size` says nothing here: all prompts of a call are handed to the engine, which runs as many at a time as
    `backend.max_num_seqs` allows.
    """

    def __init__(self, engine: ContinuousEngine, **fields: Any) -> None:
        super().__init__(engine, "hforch_openvino_genai", **fields)

    def _batches(self, prompts: Sequence[str]) -> list[list[int]]:
        return [list(range(len(prompts)))] if prompts else []
