"""Tests that every part of a chat message reaches the chat template, or is rejected with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from backends_tested import BACKENDS
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.prompt_values import ImagePromptValue

from hforch.errors import PromptError
from hforch.generation.chat_templates import render, select
from hforch.generation.messages import as_messages
from hforch.generation.tool_rendering import check_rendered

PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
TOOLS = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{% if m.name %}{{ m.name }}: {% endif %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}"
    ">{% endfor %}{% endfor %}[assistant]"
)
CALL = {"name": "weather", "args": {"town": 'l\'"été"', "days": [1, 2]}, "id": "call_1"}
CHAT: list[BaseMessage] = [
    HumanMessage("Warm?"),
    AIMessage("", tool_calls=[CALL]),
    ToolMessage("22", tool_call_id="call_1", name="weather"),
]
RENDERED = (
    '[user]Warm?[assistant]<{"name": "weather", "arguments": {"town": "l\'\\"été\\"", "days": [1, 2]}}'
    ">[tool]weather: 22[assistant]"
)


# ---------------------------------------------------------------- the shape
def test_tool_calls_and_results_have_the_shape_that_templates_expect() -> None:
    function = {"name": "weather", "arguments": CALL["args"]}
    assert as_messages(CHAT) == [
        {"role": "user", "content": "Warm?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"type": "function", "id": "call_1", "function": function}],
        },
        {"role": "tool", "content": "22", "name": "weather", "tool_call_id": "call_1"},
    ]


TEXT = {"type": "text", "text": "one "}
CALLS = [{"type": "function", "id": "1", "function": {"name": "f", "arguments": {"a": 1}}}]
RAW = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (HumanMessage([TEXT, "two"]), {"role": "user", "content": "one two"}),
        (SystemMessage([TEXT]), {"role": "system", "content": "one "}),
        (HumanMessage([]), {"role": "user", "content": ""}),
        (HumanMessage("hi", name="Ann"), {"role": "user", "content": "hi", "name": "Ann"}),
        (AIMessageChunk("hi"), {"role": "assistant", "content": "hi"}),
        (ChatMessage("hi", role="critic"), {"role": "critic", "content": "hi"}),
        (FunctionMessage("3", name="f"), {"role": "function", "content": "3", "name": "f"}),
        (
            SystemMessage("hi", additional_kwargs={"__openai_role__": "developer"}),
            {"role": "developer", "content": "hi"},
        ),
        (
            ToolMessage([TEXT, TEXT], tool_call_id="1"),
            {"role": "tool", "content": "one one ", "tool_call_id": "1"},
        ),
        (
            AIMessage("hi", additional_kwargs={"reasoning_content": "hm", "tool_plan": "p", "refusal": None}),
            {"role": "assistant", "content": "hi", "reasoning_content": "hm", "tool_plan": "p"},
        ),
        (
            AIMessage([{"type": "thinking", "thinking": "hm"}, {"type": "reasoning", "reasoning": "!"}, TEXT]),
            {"role": "assistant", "content": "one ", "reasoning_content": "hm!"},
        ),
        (
            AIMessage([{"type": "refusal", "refusal": "no"}]),
            {"role": "assistant", "content": "no"},
        ),
        (
            AIMessage("", additional_kwargs={"function_call": RAW["function"]}),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"type": "function", "function": CALLS[0]["function"]}],
            },
        ),
        *(
            (message, {"role": "assistant", "content": "", "tool_calls": CALLS})
            for message in (
                AIMessage("", additional_kwargs={"tool_calls": [RAW]}),
                AIMessage("", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "1"}]),
                AIMessage(
                    [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}],
                    tool_calls=[{"name": "f", "args": {"a": 1}, "id": "1"}],
                ),
                AIMessageChunk("", tool_call_chunks=[{"name": "f", "args": '{"a": 1}', "id": "1", "index": 0}]),
            )
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_part_of_a_message_is_kept(message: BaseMessage, expected: dict[str, Any]) -> None:
    assert as_messages([message, HumanMessage("and?")])[0] == expected


IMAGE = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (HumanMessage([TEXT, IMAGE]), "a human message has content of type 'image_url'.*accept only text"),
        (HumanMessage([{"type": "input_audio", "data": ""}]), "content of type 'input_audio'"),
        (HumanMessage([{"type": "text"}]), "content of type 'text'"),
        (HumanMessage([{"text": "x"}]), "content of type 'None'"),
        (ToolMessage([IMAGE], tool_call_id="1"), "a tool message has content of type 'image_url'"),
        (HumanMessage("x", additional_kwargs={"images": ["..."]}), "content of type 'images'"),
        (AIMessage("", additional_kwargs={"audio": {"id": "1"}}), "content of type 'audio'"),
        (AIMessage([{"type": "tool_use", "id": "1", "name": "f", "input": {}}]), "content of type 'tool_use'"),
        (HumanMessage([{"type": "tool_result", "content": "3"}]), "content of type 'tool_result'"),
        (
            AIMessage("", invalid_tool_calls=[{"name": "f", "args": "{bad", "id": "1", "error": "no JSON"}]),
            r"an invalid tool call, f\(\{bad\): no JSON",
        ),
        (AIMessage("", additional_kwargs={"tool_calls": [{**RAW, "function": {"name": "f", "arguments": "{"}}]}), "f"),
        (AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": "[1]"}}), "a JSON object"),
        (RemoveMessage(id="1"), "of type 'remove' cannot be sent"),
    ],
    ids=str,
)
def test_parts_that_are_not_text_are_rejected(message: BaseMessage, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        as_messages([message, HumanMessage("and?")])


def test_tool_calls_without_results_are_rejected() -> None:
    with pytest.raises(PromptError, match="the last message has tool calls, but their results are missing"):
        as_messages(CHAT[:2])


# ---------------------------------------------------------------- what a template omits
OMITTING = {
    "tool calls": (PLAIN, "omits the tool call weather"),
    "arguments": (
        TOOLS.replace(", 'arguments': c.function.arguments", ""),
        "omits the names of arguments of the tool call weather, the values of arguments of the tool call weather",
    ),
    "values": (
        TOOLS.replace("c.function.arguments}", "c.function.arguments.keys() | list}"),
        "omits the values of arguments of the tool call weather",
    ),
    "results": (
        TOOLS.replace("{% for m in messages %}", "{% for m in messages if m.role != 'tool' %}"),
        "omits the content of a message with the role 'tool'",
    ),
}


@pytest.mark.parametrize(("template", "said"), OMITTING.values(), ids=OMITTING)
def test_parts_that_a_template_omits_are_reported(template: str, said: str) -> None:
    # The question contains these parts, so they occur in the text anyway.
    chat = as_messages([HumanMessage('weather town days 22 l\'"été"'), *CHAT[1:]])
    with pytest.raises(PromptError, match=said):
        check_rendered(chat, lambda messages: render(template, messages, {"bos_token": ""}))
    check_rendered(chat, lambda messages: render(TOOLS, messages, {"bos_token": ""}))


def test_checking_does_not_change_the_messages_and_renders_plain_chats_only_once() -> None:
    chat = as_messages(CHAT)
    check_rendered(chat, lambda messages: render(TOOLS, messages, {"bos_token": ""}))
    assert chat == as_messages(CHAT)
    check_rendered(as_messages(CHAT[:1]), lambda messages: pytest.fail("rendered again"))


# ---------------------------------------------------------------- models
@pytest.fixture(scope="module", params=BACKENDS)
def llm(request: pytest.FixtureRequest, load: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("tiny") / "tools"
    tiny_models.save_gpt2(folder, chat_template=TOOLS)
    return load("model=local", f"model.path={folder}", f"backend={request.param}", "generation.max_new_tokens=2")


def prompt_of(llm: Any, chat: Any) -> str:
    return str(llm.bind(skip_prompt=False, max_new_tokens=1).invoke(chat))


def test_a_chat_with_tools_is_rendered_on_every_backend(llm: Any) -> None:
    assert prompt_of(llm, CHAT).startswith(f"<s>{RENDERED}")
    assert "".join(llm.bind(skip_prompt=False).stream(CHAT)).startswith(f"<s>{RENDERED}")
    dicts = [
        {"role": "user", "content": [{"type": "text", "text": "War"}, {"type": "text", "text": "m?"}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": CALL["args"]}}]},
        {"role": "tool", "name": "weather", "content": "22"},
    ]
    assert prompt_of(llm, dicts).startswith(f"<s>{RENDERED}")
    assert llm.get_num_tokens_from_messages(CHAT) == len(llm.engine.encode(llm.prompt_value(CHAT).to_string()))


def test_what_cannot_be_rendered_is_an_error_on_every_backend(llm: Any) -> None:
    with pytest.raises(PromptError, match="content of type 'image_url'"):
        llm.invoke([HumanMessage([IMAGE])])
    with pytest.raises(PromptError, match=r"omits the tool call weather.*chat_template_kwargs\.chat_template"):
        llm.invoke(CHAT, chat_template_kwargs={"chat_template": PLAIN})
    with pytest.raises(PromptError, match="the input is an image"):
        llm.invoke(ImagePromptValue(image_url={"url": "http://x/y.png"}))
    for wrong in (3, [None], [{"role": "user"}], [{"role": "assistant", "tool_calls": [{"function": {}}]}]):
        with pytest.raises(PromptError, match="cannot be converted to messages"):
            llm.invoke(wrong)
        with pytest.raises(PromptError, match="cannot be converted to messages"):
            list(llm.stream(wrong))


# ---------------------------------------------------------------- several templates
def test_a_template_is_selected_as_in_transformers() -> None:
    named = {"default": "d", "tool_use": "t", "rag": "r"}
    assert [select(named, {}), select(named, {"tools": []}), select(named, {"chat_template": "rag"})] == ["d", "t", "r"]
    assert select(named, {"chat_template": "{{ own }}", "tools": []}) == "{{ own }}"
    assert select({"default": "d"}, {"tools": []}) == "d"
    assert select({}, {"chat_template": "{{ own }}"}) == "{{ own }}"
    with pytest.raises(PromptError, match="no chat template"):
        select({}, {})
    with pytest.raises(PromptError, match=r"several chat templates \(a, b\)"):
        select({"a": "", "b": ""}, {})
    with pytest.raises(PromptError, match="must be a template or the name of one; got int"):
        select(named, {"chat_template": 3})


@pytest.mark.model
@pytest.mark.parametrize("in_files", [True, False])
def test_files_and_transformers_find_the_same_templates(in_files: bool, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from hforch.generation.chat import apply_chat_template
    from hforch.generation.file_tokenizer import FileTokenizer

    tokenizer = tiny_models.byte_level_tokenizer(("<s>", "</s>"))
    tokenizer.chat_template = {"default": TOOLS, "tool_use": "T" + TOOLS}
    tokenizer.save_pretrained(tmp_path, save_jinja_files=in_files)
    theirs, own = AutoTokenizer.from_pretrained(tmp_path), FileTokenizer(tmp_path)
    chat = as_messages(CHAT)
    for kwargs in ({}, {"tools": []}, {"chat_template": "tool_use"}, {"chat_template": PLAIN}):
        assert own.render(chat, kwargs) == apply_chat_template(theirs, chat, kwargs)
    assert own.render(chat, {"tools": []}).startswith("T<s>")
