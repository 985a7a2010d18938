"""Build LangChain prompts from the `prompt` config group, and the values of their variables from inputs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from hforch.config.rules import variables
from hforch.config.schema import ChatPrompt, FileInputs, InlineInputs, RawPrompt, TemplatePrompt
from hforch.errors import ConfigError, Mistake, PromptError
from hforch.inputs import Input, Item, format_of

if TYPE_CHECKING:
    from langchain_core.prompts import BasePromptTemplate

RAW = "prompt"

Prompt = TemplatePrompt | ChatPrompt | RawPrompt


def build_prompt(prompt: Prompt) -> BasePromptTemplate:
    """Return the LangChain prompt, whose output is the input of the LLM."""
    from langchain_core.prompts import ChatPromptTemplate, PromptTemplate

    if isinstance(prompt, RawPrompt):
        return PromptTemplate.from_template(f"{{{RAW}}}")
    if isinstance(prompt, TemplatePrompt):
        return PromptTemplate.from_template(prompt.template)
    system = [("system", prompt.system)] if prompt.system is not None else []
    return ChatPromptTemplate.from_messages(
        [*system, *((message.role, message.content) for message in prompt.messages)]
    )


def variable_names(prompt: Prompt) -> list[str]:
    """Return the names of a prompt's variables, in LangChain's order, without importing LangChain."""
    if isinstance(prompt, RawPrompt):
        return [RAW]
    if isinstance(prompt, TemplatePrompt):
        return sorted(variables(prompt.template))
    texts = [prompt.system or "", *(message.content for message in prompt.messages)]
    return sorted({name for text in texts for name in variables(text)})


def variables_of(item: Item, prompt: Prompt, wanted: Sequence[str]) -> dict[str, Any]:
    """Return the values of the prompt's variables, whose names are `wanted`, for one item.

    A string is the value of the only variable.

    Raises:
        PromptError: the item lacks a variable.
    """
    if isinstance(prompt, RawPrompt):
        return {RAW: _raw(item, prompt.column)}
    if isinstance(item, str):
        if len(wanted) != 1:
            raise PromptError(
                f"the prompt has {len(wanted)} variables ({', '.join(wanted)}); pass a dict instead of a string"
            )
        return {wanted[0]: item}
    missing = [name for name in wanted if item.get(name) is None]
    if missing:
        columns = f"column{'s' * (len(missing) > 1)} {_quoted(missing)}"
        raise PromptError(f"missing {columns}, which the prompt uses; available: {_quoted(list(item))}")
    return {name: item[name] for name in wanted}


def check_inputs(prompt: Prompt, inputs: Sequence[Input], declared: InlineInputs | FileInputs) -> None:
    """Check that every input has the variables of the prompt.

    Args:
        declared: the source of the inputs, for messages.

    Raises:
        ConfigError: inputs lack variables; the error lists up to three of them and the number of the others, or the
            header of a CSV file.
    """
    wanted = variable_names(prompt)
    if isinstance(declared, FileInputs) and format_of(declared) == "csv":
        _check_header(prompt, inputs[0], wanted, declared.path)
    mistakes = []
    for each in inputs:
        try:
            variables_of(each.item, prompt, wanted)
        except PromptError as error:
            mistakes.append(Mistake("inputs", f"input {each.index + 1}: {error}"))
    if len(mistakes) > 3:
        mistakes = [*mistakes[:3], Mistake("inputs", f"and {len(mistakes) - 3} more inputs with errors")]
    if mistakes:
        raise ConfigError(mistakes)


def unused_columns(prompt: Prompt, inputs: Sequence[Input], others: Collection[str] = ()) -> list[Mistake]:
    """Return a warning about input columns that neither the prompt uses nor `others` names."""
    named = {prompt.column} if isinstance(prompt, RawPrompt) else set(variable_names(prompt))
    has = dict.fromkeys(name for each in inputs if isinstance(each.item, dict) for name in each.item)
    unused = [str(name) for name in has if name not in named and name not in others]
    if not unused or named == {None}:
        return []
    what = f"input columns: {_quoted(unused)}"
    return [Mistake("inputs", f"the prompt does not use these {what}", hint="ignore this warning if that is intended")]


def _check_header(prompt: Prompt, first: Input, wanted: Sequence[str], path: str) -> None:
    """Check the columns of a CSV file with its first row, since all rows have the columns of the header."""
    try:
        variables_of(first.item, prompt, wanted)
    except PromptError as error:
        assert isinstance(first.item, dict)
        if all(value is not None for value in first.item.values()):
            hint = "the first row of a CSV file must name its columns, for example: question,expected"
            raise ConfigError([Mistake("inputs.path", str(error), f"{path}:1", hint)]) from error


def _raw(item: Item, column: str | None) -> str:
    if isinstance(item, str):
        return item
    if column is not None:
        if column not in item:
            raise PromptError(f"missing column {column!r} (prompt.column); available: {_quoted(list(item))}")
        return str(item[column])
    if len(item) != 1:
        raise PromptError(
            f"the input has {len(item)} columns ({_quoted(list(item))}); select the one that contains the prompt, for"
            f" example prompt.column={next(iter(item), 'NAME')}"
        )
    return str(next(iter(item.values())))


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
