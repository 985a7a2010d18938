"""The LLM over an engine that needs nothing more of LangChain."""

from __future__ import annotations

from typing import Any

from pydantic import PrivateAttr

from hforch.generation.engine import Engine
from hforch.generation.llm import HforchLLM


class EngineLLM(HforchLLM):
    """The LLM over an engine.

    Args:
        kind: what LangChain calls this type of LLM.
    """

    _kind: str = PrivateAttr()

    def __init__(self, engine: Engine, kind: str, **fields: Any) -> None:
        super().__init__(**fields)
        self._engine, self._kind = engine, kind

    @property
    def _llm_type(self) -> str:
        return self._kind
