"""The LLM class for engines without a LangChain class of their own."""

from __future__ import annotations

from pydantic import Field

from hforch.generation.llm import HforchLLM


class EngineLLM(HforchLLM):
    """A LangChain LLM that generates with an engine.

    Attributes:
        kind: LangChain's name for this type of LLM.
    """

    kind: str = Field(exclude=True, repr=False)

    @property
    def _llm_type(self) -> str:
        return self.kind
