"""From the `prompt` group to a LangChain prompt, and from an input to the variables it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.prompts import BasePromptTemplate, ChatPromptTemplate, PromptTemplate

from hforch.config.schema import ChatPrompt, RawPrompt, TemplatePrompt
from hforch.errors import ConfigError, Mistake, PromptError
from hforch.inputs import Input, Item

RAW = "prompt"

Prompt = TemplatePrompt | ChatPrompt | RawPrompt


def build_prompt(prompt: Prompt) -> BasePromptTemplate:
    """The LangChain prompt; its output goes into the LLM."""
    if isinstance(prompt, RawPrompt):
        return PromptTemplate.from_template(f"{{{RAW}}}")
    if isinstance(prompt, TemplatePrompt):
        return PromptTemplate.from_template(prompt.template)
    system = [("system", prompt.system)] if prompt.system is not None else []
    return ChatPromptTemplate.from_messages(
        [*system, *((message.role, message.content) for message in prompt.messages)]
    )


def variables_of(item: Item, prompt: Prompt, wanted: Sequence[str]) -> dict[str, Any]:
    """The prompt's variables for one item; a plain string stands for the only one.

    Raises:
        PromptError: the item does not have them.
    """
    if isinstance(prompt, RawPrompt):
        return {RAW: _raw(item, prompt.column)}
    if isinstance(item, str):
        if len(wanted) != 1:
            raise PromptError(f"a plain text fits a prompt of one variable, and this one has {_listed(wanted)}")
        return {wanted[0]: item}
    missing = [name for name in wanted if item.get(name) is None]
    if missing:
        raise PromptError(f"the prompt wants {_listed(missing)}, and the input has {_listed(list(item))}")
    return {name: item[name] for name in wanted}


def check_inputs(prompt: Prompt, inputs: Sequence[Input]) -> None:
    """Make sure that every input has what the prompt wants.

    Raises:
        ConfigError: the first inputs that do not, three at most, and how many more.
    """
    wanted = build_prompt(prompt).input_variables
    mistakes = []
    for each in inputs:
        try:
            variables_of(each.item, prompt, wanted)
        except PromptError as error:
            mistakes.append(Mistake("inputs", f"input {each.index + 1}: {error}"))
    if len(mistakes) > 3:
        mistakes = [*mistakes[:3], Mistake("inputs", f"and {len(mistakes) - 3} more inputs like these")]
    if mistakes:
        raise ConfigError(mistakes)


def _raw(item: Item, column: str | None) -> str:
    if isinstance(item, str):
        return item
    if column is not None:
        if column not in item:
            raise PromptError(f"prompt.column is {column!r}, and the input has {_listed(list(item))}")
        return str(item[column])
    if len(item) != 1:
        raise PromptError(
            f"the input has {_listed(list(item))}; say which is the prompt, as in"
            f" prompt.column={next(iter(item), 'NAME')}"
        )
    return str(next(iter(item.values())))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names) or "nothing"
