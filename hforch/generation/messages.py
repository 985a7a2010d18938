"""Convert LangChain messages to the dicts that chat templates expect.

See https://huggingface.co/docs/transformers/chat_templating and https://huggingface.co/docs/transformers/chat_extras.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from hforch.errors import PromptError, shown

ROLES: Mapping[type[BaseMessage], str] = {
    HumanMessage: "user",
    AIMessage: "assistant",
    SystemMessage: "system",
    ToolMessage: "tool",
    FunctionMessage: "function",
}
ROLE_OF_OPENAI = "__openai_role__"  # set by LangChain for the role `developer`, which it has no class for
TEXT = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
"""Types of content blocks that are text, with the key of the text."""
REASONING = {"reasoning": "reasoning", "thinking": "thinking"}
CALLS = ("tool_call", "tool_use", "function_call")
"""Types of content blocks that repeat an entry of `tool_calls`."""
MEDIA = ("audio", "images", "image", "video")
COPIES = ("tool_calls", "function_call", "parsed")
"""Names in `additional_kwargs` of data that a message also has in another form."""

Rendered = dict[str, Any]


def as_messages(messages: Sequence[BaseMessage]) -> list[Rendered]:
    """Convert messages to dicts {role, content, ...}, the format of chat templates.

    Tool calls become {"type": "function", "id", "function": {"name", "arguments"}}, with the arguments as a dict; tool
    results have a `tool_call_id`. Other keys of a message (`name`, reasoning, and those in `additional_kwargs`) are
    passed on under their names. Text blocks are joined.

    Raises:
        PromptError: a message has content other than text, an invalid tool call, or an unknown type; or the last one
            has tool calls, whose results are missing.
    """
    found = [_converted(message) for message in messages]
    if found and found[-1].get("tool_calls"):
        raise PromptError("the last message has tool calls, but their results are missing; add a tool message for each")
    return found


def _converted(message: BaseMessage) -> Rendered:
    found = _additional(message)
    found |= {"role": _role(message), "content": _text(message)}
    if reasoning := _reasoning(message):
        found["reasoning_content"] = reasoning
    if message.name is not None:
        found["name"] = message.name
    if isinstance(message, AIMessage) and (calls := _tool_calls(message)):
        found["tool_calls"] = calls
    if isinstance(message, ToolMessage) and message.tool_call_id:
        found["tool_call_id"] = message.tool_call_id
    return found


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    if role := message.additional_kwargs.get(ROLE_OF_OPENAI):
        return str(role)
    for kind, role in ROLES.items():
        if isinstance(message, kind):
            return role
    raise PromptError(f"a message of type '{message.type}' cannot be sent to a model")


def _additional(message: BaseMessage) -> Rendered:
    """Return the parts of a message for which LangChain has no field.

    Raises:
        PromptError: the message has images, audio or video.
    """
    given = {name: value for name, value in message.additional_kwargs.items() if value not in (None, "", [], {})}
    for name in MEDIA:
        if name in given:
            raise _not_text(message, name)
    return {name: value for name, value in given.items() if name not in COPIES and not name.startswith("__")}


def _blocks(message: BaseMessage) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the content blocks of a message with their types.

    Raises:
        PromptError: a block is not text, reasoning, or a copy of one of the message's tool calls.
    """
    content = [message.content] if isinstance(message.content, str) else message.content
    for block in content:
        if isinstance(block, str):
            yield "text", {"text": block}
            continue
        kind = str(block.get("type"))
        key = {**TEXT, **REASONING}.get(kind)
        if key is not None and isinstance(block.get(key), str):
            yield kind, block
        elif not (kind in CALLS and isinstance(message, AIMessage) and (message.tool_calls or _raw_calls(message))):
            raise _not_text(message, kind)


def _text(message: BaseMessage) -> str:
    return "".join(block[TEXT[kind]] for kind, block in _blocks(message) if kind in TEXT)


def _reasoning(message: BaseMessage) -> str:
    return "".join(block[REASONING[kind]] for kind, block in _blocks(message) if kind in REASONING)


def _tool_calls(message: AIMessage) -> list[Rendered]:
    """Return the tool calls of a message in the format of chat templates.

    Raises:
        PromptError: the arguments of a call are not a JSON object.
    """
    for invalid in message.invalid_tool_calls:
        raise _invalid(invalid["name"], invalid["args"], invalid["error"])
    if message.tool_calls:
        return [_call(call["name"], call["args"], call["id"]) for call in message.tool_calls]
    return [_parsed(call) for call in _raw_calls(message)]


def _raw_calls(message: AIMessage) -> list[Mapping[str, Any]]:
    """Return the tool calls in `additional_kwargs`, in OpenAI's current or former format."""
    given = message.additional_kwargs
    former = given.get("function_call")
    return list(given.get("tool_calls") or ([{"function": former}] if former else []))


def _parsed(call: Mapping[str, Any]) -> Rendered:
    function = call.get("function") or {}
    name, arguments = function.get("name"), function.get("arguments")
    try:
        parsed = json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError as error:
        raise _invalid(name, arguments, error) from error
    if not isinstance(name, str) or not isinstance(parsed, Mapping):
        raise _invalid(name, arguments, "it must have a name, and its arguments must be a JSON object")
    return _call(name, parsed, call.get("id"))


def _call(name: str, arguments: Mapping[str, Any], number: str | None) -> Rendered:
    identity = {} if number is None else {"id": number}
    return {"type": "function", **identity, "function": {"name": name, "arguments": dict(arguments)}}


def _invalid(name: object, arguments: object, reason: object) -> PromptError:
    why = f": {reason}" if reason else ""
    return PromptError(shown(f"a message has an invalid tool call, {name}({arguments}){why}"))


def _not_text(message: BaseMessage, kind: str) -> PromptError:
    return PromptError(
        shown(f"a {message.type} message has content of type '{kind}'; text-generation models accept only text")
    )
