"""Chat messages on their way to a model's own chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompt_values import PromptValue

from hforch.backends.engine import RenderedChat
from hforch.errors import PromptError

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
        raise PromptError(
            "this model has no chat template, so it takes no chat messages; use prompt=step_by_step or prompt=raw, or"
            " a PromptTemplate instead of a ChatPromptTemplate"
        )
    continues = bool(messages) and messages[-1]["role"] == "assistant"
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(
            list(messages),
            tokenize=False,
            add_generation_prompt=not continues,
            continue_final_message=continues,
            **kwargs,
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise PromptError(f"the model's chat template refuses these messages: {error}") from error
    return RenderedChat(text)
