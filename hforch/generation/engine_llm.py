"""The LLM class for engines without a LangChain class of their own."""

from __future__ import annotations

from typing import Any

from pydantic import PrivateAttr

from hforch.generation.engine import Engine
from hforch.generation.llm import HforchLLM


class EngineLLM(HforchLLM):
    """A LangChain LLM that generates with an engine.

    Args:
        engine: the loaded model.
        kind: LangChain's name for this type of LLM.
        fields: fields of HforchLLM.
    """

    _kind: str = PrivateAttr()

    def __init__(self, engine: Engine, kind: str, **fields: Any) -> None:
        super().__init__(**fields)
        self._engine, self._kind = engine, kind

    @property
    def _llm_type(self) -> str:
        return self._kind
