"""From the `prompt` group to a LangChain prompt, and from an input to the variables it takes."""

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
    """The LangChain prompt; its output goes into the LLM."""
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
    """Return the names of a prompt's variables, as its LangChain prompt has them, without importing LangChain."""
    if isinstance(prompt, RawPrompt):
        return [RAW]
    if isinstance(prompt, TemplatePrompt):
        return sorted(variables(prompt.template))
    texts = [prompt.system or "", *(message.content for message in prompt.messages)]
    return sorted({name for text in texts for name in variables(text)})


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


def check_inputs(prompt: Prompt, inputs: Sequence[Input], declared: InlineInputs | FileInputs) -> None:
    """Make sure that every input has what the prompt wants.

    Args:
        declared: where the inputs came from, for the message.

    Raises:
        ConfigError: the first inputs that do not, three at most, and how many more; or the header of a csv file.
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
        mistakes = [*mistakes[:3], Mistake("inputs", f"and {len(mistakes) - 3} more inputs like these")]
    if mistakes:
        raise ConfigError(mistakes)


def unused_columns(prompt: Prompt, inputs: Sequence[Input], others: Collection[str] = ()) -> list[Mistake]:
    """A warning if the inputs have columns that the prompt never names, `others` aside: those are used elsewhere."""
    named = {prompt.column} if isinstance(prompt, RawPrompt) else set(variable_names(prompt))
    has = dict.fromkeys(name for each in inputs if isinstance(each.item, dict) for name in each.item)
    unused = [str(name) for name in has if name not in named and name not in others]
    if not unused or named == {None}:
        return []
    what = f"{_listed(unused)}, which the prompt never uses"
    return [Mistake("inputs", f"the inputs have {what}", hint="nothing to do if that is meant")]


def _check_header(prompt: Prompt, first: Input, wanted: Sequence[str], path: str) -> None:
    """The rows of a csv file all have the columns of its header, so the first one tells of all."""
    try:
        variables_of(first.item, prompt, wanted)
    except PromptError as error:
        assert isinstance(first.item, dict)
        if all(value is not None for value in first.item.values()):
            hint = "the first row of a csv file names its columns, such as: question,expected"
            raise ConfigError([Mistake("inputs.path", str(error), f"{path}:1", hint)]) from error


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
