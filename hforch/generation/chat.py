"""Chat messages on their way to a model's own chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompt_values import PromptValue

from hforch.errors import PromptError
from hforch.generation.chat_templates import NO_TEMPLATE, refusal, render
from hforch.generation.engine import RenderedChat

ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool"}


class RenderedPromptValue(PromptValue):
    """Messages that a chat template has rendered; it stays marked as such all the way to the tokenizer."""

    text: str

    def to_string(self) -> str:
        return RenderedChat(self.text)

    def to_messages(self) -> list[BaseMessage]:
        return [HumanMessage(content=self.text)]


def as_messages(messages: Sequence[BaseMessage]) -> list[dict[str, str]]:
    """LangChain messages as {role, content}, the form chat templates take.

    Raises:
        PromptError: a message is not plain text.
    """
    plain = []
    for message in messages:
        if not isinstance(message.content, str):
            raise PromptError(f"a {message.type} message holds more than text; a text-generation model takes text only")
        role = getattr(message, "role", None) or ROLES.get(message.type, message.type)
        plain.append({"role": role, "content": message.content})
    return plain


def apply_chat_template(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], kwargs: Mapping[str, Any]
) -> RenderedChat:
    """Render messages as a prompt; a last message of the assistant is left open, to be continued.

    Raises:
        PromptError: the model has no chat template, or the template refuses these messages.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise PromptError(NO_TEMPLATE)
    from transformers import PreTrainedTokenizerBase

    if type(tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template:
        return _rendered_by_tokenizer(tokenizer, messages, kwargs)
    others = {name: value for name, value in kwargs.items() if name != "chat_template"}
    try:
        template = tokenizer.get_chat_template(kwargs.get("chat_template"), kwargs.get("tools"))
    except (TypeError, ValueError) as error:
        raise refusal(error) from error
    return render(template, messages, {**tokenizer.special_tokens_map, **others})


def _rendered_by_tokenizer(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], kwargs: Mapping[str, Any]
) -> RenderedChat:
    """What a tokenizer makes of messages that renders them with code of its own."""
    continues = bool(messages) and messages[-1]["role"] == "assistant"
    try:
        text = tokenizer.apply_chat_template(
            list(messages),
            tokenize=False,
            add_generation_prompt=not continues,
            continue_final_message=continues,
            **kwargs,
        )
    except Exception as error:
        raise refusal(error) from error
    return RenderedChat(text)
