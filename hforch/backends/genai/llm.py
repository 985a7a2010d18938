"""The LangChain LLM of backend=openvino_genai."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from hforch.generation.engine_llm import EngineLLM


class GenAILLM(EngineLLM):
    """A LangChain LLM that uses openvino-genai, with hforch's generation guarantees.

    `batch_size` has no effect: all prompts of a call are submitted together, and the engine runs up to
    `backend.max_num_seqs` of them at the same time.
    """

    kind: str = Field(default="hforch_openvino_genai", exclude=True, repr=False)

    def _batches(self, prompts: Sequence[str]) -> list[list[int]]:
        return [list(range(len(prompts)))] if prompts else []
