"""Build LangChain prompts from the `prompt` config group, and the values of their variables from inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hforch.config.cells import EMPTY, as_text
from hforch.config.prompt_columns import NoColumn, choose, columns_of, hint_to_choose, several
from hforch.config.rules import variables
from hforch.config.schema import FileInputs, InlineInputs, MessagesPrompt, RawPrompt, TemplatePrompt
from hforch.errors import ConfigError, Mistake, PromptError
from hforch.input_files.read import format_of, name_of
from hforch.input_files.rows import Item
from hforch.inputs import Input

if TYPE_CHECKING:
    from langchain_core.prompts import BasePromptTemplate

RAW = "prompt"
DELIMITED = ("csv", "tsv")
MOST_NUMBERS = 10  # maximum number of inputs that an error lists by number

Prompt = TemplatePrompt | MessagesPrompt | RawPrompt


def build_prompt(prompt: Prompt) -> BasePromptTemplate:
    """Return the LangChain prompt, whose output is the input of the LLM."""
    from hforch.prompt_templates import TextChatPromptTemplate, TextPromptTemplate

    if isinstance(prompt, RawPrompt):
        return TextPromptTemplate.from_template(f"{{{RAW}}}")
    if isinstance(prompt, TemplatePrompt):
        return TextPromptTemplate.from_template(prompt.template)
    system = [("system", prompt.system)] if prompt.system is not None else []
    return TextChatPromptTemplate.from_messages(
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


def variables_of(item: Item, prompt: Prompt, wanted: Sequence[str]) -> dict[str, str]:
    """Return the texts of the prompt's variables, whose names are `wanted`, for one item.

    A string is the value of the only variable.

    Raises:
        PromptError: the item lacks a variable, or a value is not text; the message lists all of them.
    """
    cells = _cells(item, prompt, wanted, _column(prompt, wanted, item) if isinstance(item, dict) else None)
    if problems := _problems(cells):
        raise PromptError("; ".join(problems))
    return {name: as_text(cell.value) for name, cell in cells.items()}


def check_inputs(prompt: Prompt, inputs: Sequence[Input], declared: InlineInputs | FileInputs) -> None:
    """Check that every input has text for each variable of the prompt.

    Args:
        declared: the source of the inputs, for messages.

    Raises:
        ConfigError: inputs lack variables, or have values that are not text, such as null or an empty cell of a CSV
            file; inputs with the same error are reported together.
    """
    wanted = variable_names(prompt)
    column = _column_of_all(prompt, inputs, wanted)
    is_csv = isinstance(declared, FileInputs) and format_of(declared) in DELIMITED
    if isinstance(declared, FileInputs) and is_csv:
        _check_header(prompt, inputs[0], wanted, column, name_of(declared))
    found: dict[str, list[Input]] = {}
    for each in inputs:
        try:
            problems = _problems(_cells(each.item, prompt, wanted, column), is_csv)
        except PromptError as error:
            problems = [str(error)]
        for problem in problems:
            found.setdefault(problem, []).append(each)
    if found:
        raise ConfigError(_mistake(problem, having, declared) for problem, having in found.items())


def column_in_use(prompt: Prompt, inputs: Sequence[Input]) -> str | None:
    """Return the column that was chosen for a prompt because its own column is missing or not set, else None."""
    wanted = variable_names(prompt)
    named = prompt.column or (None if isinstance(prompt, RawPrompt) else next(iter(wanted), None))
    column = _column_of_all(prompt, inputs, wanted)
    return column if column != named else None


def column_note(prompt: Prompt, inputs: Sequence[Input], declared: InlineInputs | FileInputs) -> list[str]:
    """Return a note about the column that was chosen for a prompt, if it is one of several or replaces another."""
    column = column_in_use(prompt, inputs)
    if column is None or (prompt.column is None and isinstance(prompt, RawPrompt) and len(inputs[0].item) == 1):
        return []
    source = name_of(declared) if isinstance(declared, FileInputs) else "the inputs"
    return [f"{source}: the prompt is the column {column!r} (prompt.column selects another)"]


def unused_columns(prompt: Prompt, inputs: Sequence[Input], others: Collection[str] = ()) -> list[Mistake]:
    """Return a warning about input columns that neither the prompt uses nor `others` names."""
    wanted = variable_names(prompt)
    column = _column_of_all(prompt, inputs, wanted)
    named = set(wanted) if column is None else {column}
    has = columns_of(each.item for each in inputs)
    unused = [str(name) for name in has if name not in named and name not in others]
    if not unused:
        return []
    what = f"input columns: {_quoted(unused)}"
    return [Mistake("inputs", f"the prompt does not use these {what}", hint="ignore this warning if that is intended")]


def _column_of_all(prompt: Prompt, inputs: Sequence[Input], wanted: Sequence[str]) -> str | None:
    """Return the column that supplies the only variable; None if there are several variables or no suitable column.

    Raises:
        ConfigError: several columns could supply it.
    """
    columns = columns_of(each.item for each in inputs)
    if len(wanted) != 1 or not columns:
        return None
    try:
        return choose(_variable(prompt, wanted), prompt.column, columns)
    except NoColumn as error:
        if len(error.likely) > 1:
            problem, hint = several(error.likely)
            raise ConfigError([Mistake("prompt.column", problem, None, hint)]) from None
        return None


def _column(prompt: Prompt, wanted: Sequence[str], item: Collection[str]) -> str | None:
    """Return the column of one item that supplies the only variable, or None."""
    try:
        return choose(_variable(prompt, wanted), prompt.column, item) if len(wanted) == 1 else None
    except NoColumn:
        return None


def _variable(prompt: Prompt, wanted: Sequence[str]) -> str | None:
    return None if isinstance(prompt, RawPrompt) else wanted[0]


def _check_header(prompt: Prompt, first: Input, wanted: Sequence[str], column: str | None, path: str) -> None:
    """Check the columns of a CSV file with its first row, since all rows have the columns of the header."""
    try:
        _cells(first.item, prompt, wanted, column)
    except PromptError as error:
        hint = "the first row of a CSV file must name its columns, for example: question,expected"
        if len(wanted) == 1 and isinstance(first.item, dict):
            hint = f"{hint}; if it does, select the column that contains the prompt: prompt.column=NAME"
        raise ConfigError([Mistake("inputs.path", str(error), f"{path}:1", hint, "at")]) from error


@dataclass(frozen=True)
class Cell:
    """The value of a variable, and the column that contains it; None for an input that is a string."""

    column: str | None
    value: Any


def _cells(item: Item, prompt: Prompt, wanted: Sequence[str], column: str | None) -> dict[str, Cell]:
    """Return the values of the prompt's variables for one item.

    Args:
        column: the column that supplies the only variable; None if no column does.

    Raises:
        PromptError: the item lacks a variable.
    """
    if isinstance(item, str):
        if len(wanted) != 1:
            raise PromptError(
                f"the prompt has {len(wanted)} variables ({', '.join(wanted)}); pass a dict instead of a string"
            )
        return {wanted[0]: Cell(None, item)}
    if column is not None and column in item:
        return {wanted[0]: Cell(column, item[column])}
    there = f"available: {_quoted(list(item))}"
    if prompt.column is not None:
        raise PromptError(f"missing column {prompt.column!r} (prompt.column); {there}")
    if column is not None and column != wanted[0]:
        raise PromptError(f"missing column {column!r}, which is the prompt of other inputs; {there}")
    if isinstance(prompt, RawPrompt):
        raise PromptError(f"the input has {len(item)} columns ({_quoted(list(item))}); {hint_to_choose(list(item))}")
    missing = [name for name in wanted if name not in item]
    if missing:
        columns = f"column{'s' * (len(missing) > 1)} {_quoted(missing)}"
        raise PromptError(f"missing {columns}, which the prompt uses; {there}")
    return {name: Cell(name, item[name]) for name in wanted}


def _problems(cells: Mapping[str, Cell], is_csv: bool = False) -> list[str]:
    """Return the errors in values; a CSV file has no null, so an empty value is an error there."""
    found = []
    for cell in cells.values():
        try:
            if is_csv and cell.value == "":
                raise ValueError(EMPTY.format("empty"))
            as_text(cell.value)
        except ValueError as error:
            found.append(f"column {cell.column!r} {error}")
    return found


def _mistake(problem: str, having: Sequence[Input], declared: InlineInputs | FileInputs) -> Mistake:
    """Return the error that these inputs have in common, at the first of them."""
    numbers = [str(each.index + 1) for each in having[:MOST_NUMBERS]]
    more = f" and {len(having) - MOST_NUMBERS} more" if len(having) > MOST_NUMBERS else ""
    where = f"{name_of(declared)}:{having[0].line}" if isinstance(declared, FileInputs) and having[0].line else None
    return Mistake(
        "inputs" if where is None else "inputs.path",
        f"input{'s' * (len(having) > 1)} {', '.join(numbers)}{more}: {problem}",
        where,
        relation="at",
    )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
