"""LangChain prompt templates whose variables must be text: LangChain's own would insert the `repr` of any value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.prompts import BasePromptTemplate, ChatPromptTemplate, PromptTemplate

from hforch.config.cells import as_text
from hforch.errors import PromptError


class TextPromptTemplate(PromptTemplate):
    """A prompt template that rejects values that are neither text nor numbers, such as None."""

    def format_prompt(self, **kwargs: Any) -> PromptValue:
        return super().format_prompt(**_texts(kwargs))

    async def aformat_prompt(self, **kwargs: Any) -> PromptValue:
        return await super().aformat_prompt(**_texts(kwargs))

    def _validate_input(self, inner_input: Any) -> dict[str, Any]:
        return super()._validate_input(_complete(self, inner_input))


class TextChatPromptTemplate(ChatPromptTemplate):
    """A chat prompt template that rejects values that are neither text nor numbers, such as None."""

    def format_prompt(self, **kwargs: Any) -> ChatPromptValue:
        return super().format_prompt(**_texts(kwargs))

    async def aformat_prompt(self, **kwargs: Any) -> ChatPromptValue:
        return await super().aformat_prompt(**_texts(kwargs))

    def _validate_input(self, inner_input: Any) -> dict[str, Any]:
        return super()._validate_input(_complete(self, inner_input))


def _complete(prompt: BasePromptTemplate[Any], given: Any) -> Any:
    """Return the input of a prompt.

    Raises:
        PromptError: it lacks variables; LangChain's own error is a KeyError.
    """
    wanted = prompt.input_variables
    if isinstance(given, Mapping):
        if missing := [name for name in wanted if name not in given]:
            problem = f"missing variable{'s' * (len(missing) > 1)} {_quoted(missing)}, which the prompt uses"
            raise PromptError(f"{problem}; got {_quoted(given)}")
    elif len(wanted) != 1:
        problem = f"the prompt has {len(wanted)} variables ({', '.join(wanted)})"
        raise PromptError(f"{problem}; pass a dict instead of a value of type {type(given).__name__}")
    return given


def _quoted(names: Iterable[Any]) -> str:
    return ", ".join(map(repr, names)) or "none"


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
