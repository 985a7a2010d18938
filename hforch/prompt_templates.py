"""LangChain prompt templates whose variables must be text: LangChain's own would insert the `repr` of any value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate

from hforch.config.cells import as_text
from hforch.errors import PromptError


class TextPromptTemplate(PromptTemplate):
    """A prompt template that rejects values that are neither text nor numbers, such as None."""

    def format_prompt(self, **kwargs: Any) -> PromptValue:
        return super().format_prompt(**_texts(kwargs))

    async def aformat_prompt(self, **kwargs: Any) -> PromptValue:
        return await super().aformat_prompt(**_texts(kwargs))


class TextChatPromptTemplate(ChatPromptTemplate):
    """A chat prompt template that rejects values that are neither text nor numbers, such as None."""

    def format_prompt(self, **kwargs: Any) -> ChatPromptValue:
        return super().format_prompt(**_texts(kwargs))

    async def aformat_prompt(self, **kwargs: Any) -> ChatPromptValue:
        return await super().aformat_prompt(**_texts(kwargs))


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a prompt's variables.

    Raises:
        PromptError: values are not text; the message lists all of them.
    """
    texts, problems = {}, []
    for name, value in values.items():
        try:
            texts[name] = as_text(value)
        except ValueError as error:
            problems.append(f"variable {name!r} {error}")
    if problems:
        raise PromptError("; ".join(problems))
    return texts
