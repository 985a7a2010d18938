"""Render LangChain chat messages with the chat template of a model."""

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
    """Messages rendered by a chat template, marked as such (`RenderedChat`) for the tokenizer."""

    text: str

    def to_string(self) -> str:
        return RenderedChat(self.text)

    def to_messages(self) -> list[BaseMessage]:
        return [HumanMessage(content=self.text)]


def as_messages(messages: Sequence[BaseMessage]) -> list[dict[str, str]]:
    """Convert LangChain messages to dicts {role, content}, the format of chat templates.

    Raises:
        PromptError: the content of a message is not a string.
    """
    plain = []
    for message in messages:
        if not isinstance(message.content, str):
            raise PromptError(
                f"a {message.type} message has content other than text; text-generation models accept only text"
            )
        role = getattr(message, "role", None) or ROLES.get(message.type, message.type)
        plain.append({"role": role, "content": message.content})
    return plain


def apply_chat_template(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], kwargs: Mapping[str, Any]
) -> RenderedChat:
    """Render messages ({role, content}) as a prompt.

    If the last message is from the assistant, the model continues it.

    Raises:
        PromptError: the model has no chat template, or the template rejects the messages.
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
    """Render messages with a tokenizer class that overrides `apply_chat_template`."""
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
