from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from command_line import hforch

from hforch.config.schema import ChatPrompt, FileInputs, InlineInputs, Message, RawPrompt, TemplatePrompt
from hforch.errors import ConfigError, PromptError
from hforch.inputs import Input, load_inputs
from hforch.prompts import build_prompt, check_inputs, unused_columns, variable_names, variables_of

TEMPLATE = TemplatePrompt(kind="template", column=None, template="Q: {question}\nA:", echo=False)
CHAT = ChatPrompt(
    kind="chat",
    column=None,
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


def test_inputs_with_the_same_error_are_reported_together() -> None:
    inputs = [Input(index, str(index), {"other": "x"} if index % 2 else {"question": None}) for index in range(25)]
    with pytest.raises(ConfigError) as caught:
        check_inputs(TEMPLATE, inputs, INLINE)
    assert [mistake.problem for mistake in caught.value.mistakes] == [
        "inputs 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 3 more: column 'question' is null, but the prompt needs text;"
        " fill it in, or remove this input",
        "inputs 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 and 2 more: missing column 'question', which the prompt uses;"
        " available: 'other'",
    ]


PROMPTS = [
    TEMPLATE,
    TemplatePrompt(kind="template", column=None, template="{question}", echo=False),
    CHAT,
    RawPrompt(kind="raw", column="question", echo=False),
]
NOT_TEXT = {
    "null": (None, "is null"),
    "a boolean": (True, "is the boolean true"),
    "a list": ([1], "is a list"),
    "a mapping": ({"a": "b"}, "is a mapping"),
    "NaN": (float("nan"), "is nan"),
    "infinity": (float("-inf"), "is -inf"),
    "a date": (date(2020, 1, 2), "is date"),
}


@pytest.mark.parametrize("prompt", PROMPTS, ids=["template", "only the column", "chat", "raw"])
@pytest.mark.parametrize(("value", "said"), NOT_TEXT.values(), ids=NOT_TEXT)
def test_a_value_that_is_not_text_never_gets_into_a_prompt(prompt: Any, value: object, said: str) -> None:
    item = {"question": value, "tone": "brief"}
    with pytest.raises(PromptError, match=f"^column 'question' {said}, but the prompt needs text"):
        rendered(prompt, item)
    inputs = [Input(0, "0", item | {"question": "why?"}), Input(1, "1", item)]
    with pytest.raises(ConfigError, match=f"input 2: column 'question' {said}"):
        check_inputs(prompt, inputs, INLINE)
    names = dict.fromkeys(build_prompt(prompt).input_variables, value)
    with pytest.raises(PromptError, match=f"variable '{min(names)}' {said}"):
        build_prompt(prompt).invoke(names)


async def test_async_chains_reject_values_that_are_not_text() -> None:
    for prompt in PROMPTS:
        built = build_prompt(prompt)
        with pytest.raises(PromptError, match="is null"):
            await built.ainvoke(dict.fromkeys(built.input_variables))


def test_the_only_column_of_a_raw_prompt_must_be_text() -> None:
    with pytest.raises(PromptError, match="column 'text' is null"):
        rendered(RawPrompt(kind="raw", column=None, echo=False), {"text": None})


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (-0.5, "-0.5"), (1e22, "1e+22"), (2.0, "2.0"), ("", "")])
def test_numbers_are_inserted_as_in_json(value: object, text: str) -> None:
    assert rendered(TEMPLATE, {"question": value}) == f"Q: {text}\nA:"


def test_an_empty_cell_of_a_csv_file_is_an_error_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "q.csv"
    file.write_text('question,tone,note\n"two\nlines",brief,\n,brief,\nwhy?,,x\n"",,\n', encoding="utf-8")
    declared = FileInputs(kind="file", path=str(file), format="auto", encoding="utf-8", limit=None)
    with pytest.raises(ConfigError) as caught:
        check_inputs(CHAT, load_inputs(declared), declared)
    reason = "is empty, but the prompt needs text; fill it in, or remove this input"
    assert [(mistake.problem, mistake.where) for mistake in caught.value.mistakes] == [
        (f"inputs 2, 4: column 'question' {reason}", f"{file}:4"),
        (f"inputs 3, 4: column 'tone' {reason}", f"{file}:5"),
    ]


@pytest.mark.parametrize("prompt", ["question", "chat", "step_by_step", "raw"])
def test_a_null_cell_is_an_error_before_anything_runs(prompt: str, tmp_path: Path) -> None:
    file, run = tmp_path / "q.jsonl", tmp_path / "run"
    file.write_text('{"question": "why?"}\n\n{"question": null}\n{"question": [1]}\n', encoding="utf-8")
    words = ("backend=fake", f"prompt={prompt}", f"hydra.run.dir={run}")
    said = hforch(*words, "inputs=file", f"inputs.path={file}", code=2).stderr
    assert "input 2: column 'question' is null, but the prompt needs text" in said and f"at {file}:3" in said
    assert "input 3: column 'question' is a list" in said and f"at {file}:4" in said
    inline = "inputs.items=[{question: null},{question: true},{question: nan}]"
    said = hforch(*words, inline, "runtime.batch_size=0", code=2).stderr
    for path in ("inputs.items.0.question: is null", "inputs.items.1.question: is the boolean true"):
        assert path in said
    assert "inputs.items.2.question: is nan" in said and "runtime.batch_size" in said and "4 errors" in said
    assert not run.exists()


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


@pytest.mark.parametrize(
    ("words", "warnings"),
    [
        (("inputs=facts",), []),
        (("inputs=facts", "prompt=question"), []),
        (("inputs.items=[{question: a, expected: b, topic: c}]",), ["'topic'"]),
        (("inputs.items=[{question: a, answer: b}]", "checks.items=[{equals: {column: answer}}]"), []),
    ],
)
def test_columns_that_checks_can_use_cause_no_warning(
    words: tuple[str, ...], warnings: list[str], tmp_path: Path
) -> None:
    done = hforch("backend=fake", *words, f"hydra.run.dir={tmp_path / 'run'}", "runtime.warmup=0")
    found = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("warning:")]
    assert [f"columns: {names}" in line for line, names in zip(found, warnings, strict=True)] == [True] * len(warnings)


def test_a_string_does_not_fit_two_variables() -> None:
    with pytest.raises(PromptError, match=r"\(question, tone\)"):
        variables_of("why?", CHAT, ["question", "tone"])


@pytest.mark.parametrize(
    "prompt",
    [
        TEMPLATE,
        CHAT,
        TemplatePrompt(kind="template", column=None, template="{b} {a} {{c}} {b}", echo=False),
        RawPrompt(kind="raw", column=None, echo=False),
    ],
)
def test_variable_names_equal_those_of_langchain(prompt: TemplatePrompt | ChatPrompt | RawPrompt) -> None:
    assert variable_names(prompt) == build_prompt(prompt).input_variables != []
