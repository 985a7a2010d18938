"""Overrides that the shell split into several words get one error, and its hint works in a shell."""

from __future__ import annotations

import pytest
from test_first_words import in_bash, needed_too

from hforch.cli import main
from hforch.config.compose import compose
from hforch.config.diagnose.split_words import Words, grouped
from hforch.config.options import option_names
from hforch.errors import ConfigError, Mistake

SPLIT = [
    "prompt=Hello {x}",
    "prompt.template=Hello {question} again",
    "prompt.template=Hello, {question}",
    "inputs.items=[What is a volt?]",
    "checks.items=[{icontains: {column: expected}}]",
    "stop.sequences=[a, b]",
    "inputs=my questions.csv",
    "model=./my model",
    "precision = int8",
    "precision= int8",
    "precision =int8",
    "generation.max_new_tokens = 8",
]
OTHERS = {"prompt.template": "prompt=step_by_step", "inputs.items": "inputs=eeg", "checks.items": "inputs=facts"}


def mistakes_of(*overrides: str, recipe: str | None = None) -> list[Mistake]:
    try:
        compose(overrides, recipe=recipe)
    except ConfigError as error:
        return list(error.mistakes)
    return []


@pytest.mark.parametrize("typed", SPLIT)
def test_a_split_override_gets_one_error_with_the_words_to_type_instead(typed: str) -> None:
    before = [one for key, one in OTHERS.items() if typed.startswith(f"{key}=")]
    (mistake,) = mistakes_of("backend=fake", *before, *typed.split())
    assert mistake.where == typed
    assert "the shell probably split one override into several words" in mistake.problem
    hint = mistake.hint or ""
    command = hint.removeprefix("write ").removesuffix(", without spaces").partition(", and inputs with ")[0]
    words = in_bash(command.rpartition(": ")[2] if "'" not in command else command[command.index(": ") + 2 :])
    assert mistakes_of("backend=fake", *before, *words, *needed_too(hint)) == [], hint


def test_the_hint_for_a_text_is_to_quote_the_whole_override() -> None:
    (mistake,) = mistakes_of("prompt=Hello", "{x}")
    assert mistake.hint == (
        "quote the whole override: prompt=step_by_step 'prompt.template=\"Hello {x}\"',"
        " and inputs with x, such as 'inputs.items=[{x: ...}]'"
    )


def test_the_hint_for_a_sweep_has_no_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", "precision=int8", "backend=fake,", "pytorch", "--dry-run"]) == 2
    assert "write backend=fake,pytorch, without spaces" in capsys.readouterr().err


def test_words_after_a_complete_override_are_not_part_of_it() -> None:
    assert list(grouped(["backend=fake", "x", "y=z"], option_names)) == ["backend=fake", "x", "y=z"]
    assert list(grouped(["x", "backend=f", "y"], option_names)) == ["x", Words(("backend=f", "y"), "backend", "f y")]
    assert list(grouped(["stop=a", "~tracker"], option_names)) == ["stop=a", "~tracker"]


def test_a_key_before_an_equals_sign_starts_an_override() -> None:
    found = list(grouped(["stop=a", "b", "precision", "=", "int8", "x"], option_names))
    assert [one.text for one in found if isinstance(one, Words)] == ["stop=a b", "precision=int8 x"]


@pytest.mark.parametrize("words", [["precision", "=", "int8"], ["precision", "=int8"], ["precision", "int8"]])
def test_a_group_in_place_of_a_command_gets_its_equals_sign(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err == "'precision' has no `=`\n    write precision=int8\n"


def test_words_that_follow_an_override_of_ask_are_not_taken_for_the_question(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ask", "What?", "backend=fake", "prompt.template=Hello", "{question}"]) == 2
    assert "'prompt.template=\"Hello {question}\"'" in capsys.readouterr().err


def test_a_check_without_braces_gets_them() -> None:
    (mistake,) = mistakes_of("checks.items=[icontains: {column: answer}]")
    assert mistake.hint == "enclose each check in braces: 'checks.items=[{icontains: {column: answer}}]'"
    inputs = "inputs.items=[{question: a, answer: b}]"
    assert mistakes_of("checks.items=[{icontains: {column: answer}}]", inputs) == []
