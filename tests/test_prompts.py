from __future__ import annotations

from typing import Any

import pytest

from hforch.config.schema import ChatPrompt, FileInputs, InlineInputs, Message, RawPrompt, TemplatePrompt
from hforch.errors import ConfigError, PromptError
from hforch.inputs import Input
from hforch.prompts import build_prompt, check_inputs, unused_columns, variable_names, variables_of

TEMPLATE = TemplatePrompt(kind="template", template="Q: {question}\nA:", echo=False)
CHAT = ChatPrompt(
    kind="chat",
    system="Be {tone}.",
    messages=(Message(role="user", content="{question}"),),
    chat_template_kwargs={},
    echo=False,
)

INLINE = InlineInputs(kind="inline", items=("why?",), limit=None)


def rendered(prompt: TemplatePrompt | ChatPrompt | RawPrompt, item: str | dict[str, object]) -> str:
    built = build_prompt(prompt)
    return built.invoke(variables_of(item, prompt, built.input_variables)).to_string()


def test_a_template_is_filled_from_a_row_or_a_string() -> None:
    assert rendered(TEMPLATE, {"question": "why?"}) == rendered(TEMPLATE, "why?") == "Q: why?\nA:"


def test_braces_in_an_input_are_literal() -> None:
    assert rendered(TEMPLATE, "{x} and {{y}}") == "Q: {x} and {{y}}\nA:"


def test_a_chat_has_its_system_message_first_and_variables_in_both() -> None:
    messages = build_prompt(CHAT).invoke({"question": "why?", "tone": "brief"}).to_messages()
    assert [(message.type, message.content) for message in messages] == [("system", "Be brief."), ("human", "why?")]


def test_raw_uses_the_string_the_only_column_or_the_configured_one() -> None:
    assert rendered(RawPrompt(kind="raw", column=None, echo=False), "as {it} is") == "as {it} is"
    assert rendered(RawPrompt(kind="raw", column=None, echo=False), {"text": "x"}) == "x"
    assert rendered(RawPrompt(kind="raw", column="b", echo=False), {"a": "x", "b": "y"}) == "y"
    with pytest.raises(PromptError, match=r"prompt\.column=a"):
        rendered(RawPrompt(kind="raw", column=None, echo=False), {"a": "x", "b": "y"})
    with pytest.raises(PromptError, match="'c'"):
        rendered(RawPrompt(kind="raw", column="c", echo=False), {"a": "x"})


def test_at_most_three_inputs_that_lack_a_variable_are_reported() -> None:
    inputs = [Input(index, str(index), {"other": "x"}) for index in range(5)]
    with pytest.raises(ConfigError) as caught:
        check_inputs(TEMPLATE, inputs, INLINE)
    assert str(caught.value).count("missing column 'question', which the prompt uses; available: 'other'") == 3
    assert "and 2 more inputs with errors" in str(caught.value)


def test_a_csv_file_without_a_header_is_reported_once() -> None:
    inputs = [Input(index, str(index), {"What is a volt?": "x"}) for index in range(5)]
    declared = FileInputs(kind="file", path="q.csv", format="auto", encoding="utf-8", limit=None)
    with pytest.raises(ConfigError) as caught:
        check_inputs(TEMPLATE, inputs, declared)
    (mistake,) = caught.value.mistakes
    assert (mistake.path, mistake.where) == ("inputs.path", "q.csv:1")
    assert "must name its columns" in str(mistake.hint)


@pytest.mark.parametrize(
    ("prompt", "items", "unused"),
    [
        (TEMPLATE, ["why?"], None),
        (TEMPLATE, [{"question": "why?"}], None),
        (TEMPLATE, [{"question": "why?"}, {"question": "how?", "topic": "x"}], "'topic'"),
        (CHAT, [{"question": "why?", "tone": "brief", "id": 1}], "'id'"),
        (RawPrompt(kind="raw", column=None, echo=False), [{"text": "x"}], None),
        (RawPrompt(kind="raw", column="b", echo=False), [{"a": "x", "b": "y"}], "'a'"),
    ],
)
def test_unused_columns_are_a_warning(prompt: Any, items: list[Any], unused: str | None) -> None:
    remarks = unused_columns(prompt, [Input(index, str(index), item) for index, item in enumerate(items)])
    assert [remark.problem for remark in remarks] == (
        [f"the prompt does not use these input columns: {unused}"] if unused else []
    )


def test_a_string_does_not_fit_two_variables() -> None:
    with pytest.raises(PromptError, match=r"\(question, tone\)"):
        variables_of("why?", CHAT, ["question", "tone"])


@pytest.mark.parametrize(
    "prompt",
    [
        TEMPLATE,
        CHAT,
        TemplatePrompt(kind="template", template="{b} {a} {{c}} {b}", echo=False),
        RawPrompt(kind="raw", column=None, echo=False),
    ],
)
def test_variable_names_equal_those_of_langchain(prompt: TemplatePrompt | ChatPrompt | RawPrompt) -> None:
    assert variable_names(prompt) == build_prompt(prompt).input_variables != []
