"""Check that a chat template renders the tool calls and tool results of a chat; many templates silently omit them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from hforch.errors import PromptError, shown

COMMON = ("system", "user", "assistant")  # roles that every template handles, or rejects


def check_rendered(messages: Sequence[Mapping[str, Any]], render: Callable[[Sequence[Mapping[str, Any]]], str]) -> None:
    """Check that every tool call (its name and arguments) and every message with another role is rendered.

    The messages are rendered a second time, with unique marks in place of these parts. Their own text is not enough: it
    may occur elsewhere in the prompt, and templates may escape it.

    Args:
        messages: messages as dicts {role, content, ...}.
        render: a function that renders them.

    Raises:
        PromptError: the template omits some of these parts; the message lists them.
    """
    marked = [deepcopy(dict(message)) for message in messages]
    marks: dict[str, str] = {}

    def mark(part: str) -> str:
        name = f"hforch{len(marks)}mark"
        marks[name] = part
        return name

    for message in marked:
        for call in message.get("tool_calls", ()):
            function = call["function"]
            title = f"the tool call {function['name']}"
            function["name"] = mark(title)
            if function["arguments"]:
                name, value = (mark(f"the {part} of arguments of {title}") for part in ("names", "values"))
                function["arguments"] = {name: value}
        if message["role"] not in COMMON and message["content"].strip():
            message["content"] = mark(f"the content of a message with the role '{message['role']}'")
    if not marks:
        return
    text = render(marked)
    if lost := dict.fromkeys(part for name, part in marks.items() if name not in text):
        hint = "use a model whose template supports tools, or another template: chat_template_kwargs.chat_template"
        raise PromptError(shown(f"the model's chat template omits {', '.join(lost)}; {hint}"))
