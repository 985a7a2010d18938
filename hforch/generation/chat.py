"""Render chat messages with the chat template of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompt_values import ChatPromptValue, ImagePromptValue, PromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.prompts.chat import SystemMessagePromptTemplate

from hforch.errors import PromptError, shown
from hforch.generation.chat_templates import refusal, render, select
from hforch.generation.engine import Engine, RenderedChat
from hforch.generation.messages import as_messages
from hforch.generation.tool_rendering import check_rendered


class RenderedPromptValue(PromptValue):
    """Messages rendered by a chat template, marked as such (`RenderedChat`) for the tokenizer."""

    text: str

    def to_string(self) -> str:
        return RenderedChat(self.text)

    def to_messages(self) -> list[BaseMessage]:
        return [HumanMessage(content=self.text)]


def as_prompt_value(model_input: Any, convert: Callable[[Any], PromptValue]) -> PromptValue:
    """Convert the input of an LLM to text or messages.

    Args:
        convert: LangChain's conversion.

    Raises:
        PromptError: the input is an image, or LangChain cannot convert it.
    """
    try:
        value = convert(_completed(model_input))
    except (AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else shown(" ".join(str(error).split()))
        raise PromptError(f"the input cannot be converted to messages: {reason}") from error
    if isinstance(value, ImagePromptValue):
        raise PromptError("the input is an image; text-generation models accept only text")
    return value


def _completed(model_input: Any) -> Any:
    """Add keys to messages given as dicts that LangChain requires, but chat templates do not."""
    if not isinstance(model_input, list):
        return model_input
    return [_with_keys(message) if isinstance(message, dict) else message for message in model_input]


def _with_keys(message: Mapping[str, Any]) -> dict[str, Any]:
    if message.get("role") == "tool":
        return {"tool_call_id": "", **message}
    if not (calls := message.get("tool_calls")):
        return dict(message)
    return {"content": "", **message, "tool_calls": [{"id": None, **call} for call in calls]}


def as_chat(value: PromptValue, prompt: ChatPromptTemplate) -> ChatPromptValue:
    """Convert an input to the messages of a chat prompt.

    Text becomes the value of the prompt's variable. Messages are kept, after the prompt's system message unless they
    have their own.

    Raises:
        PromptError: the input is text, and the prompt does not have exactly one variable.
    """
    if not isinstance(value, ChatPromptValue):
        if len(names := prompt.input_variables) != 1:
            raise PromptError(
                f"the chat prompt has {len(names)} variables ({', '.join(names)}), so it cannot be applied to"
                " text; use load_chain, which takes a dict, or pass messages"
            )
        return prompt.format_prompt(**{names[0]: value.to_string()})
    messages = value.to_messages()
    if any(message.type == "system" or getattr(message, "role", None) == "system" for message in messages):
        return value
    first = takewhile(lambda one: isinstance(one, SystemMessagePromptTemplate), prompt.messages)
    system = [one.format() for one in first if isinstance(one, SystemMessagePromptTemplate) and not one.input_variables]
    return ChatPromptValue(messages=[*system, *messages])


def render_messages(engine: Engine, messages: Sequence[BaseMessage], kwargs: Mapping[str, Any]) -> RenderedChat:
    """Render messages with the chat template of an engine's model.

    Args:
        kwargs: variables passed to the template.

    Raises:
        PromptError: the model has no chat template; the template rejects the messages, or omits tool calls or their
            results; or a message has content other than text.
    """
    plain = as_messages(messages)
    text = engine.render(plain, kwargs)
    check_rendered(plain, lambda marked: engine.render(marked, kwargs))
    return text


def apply_chat_template(
    tokenizer: Any, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]
) -> RenderedChat:
    """Render messages ({role, content, ...}) as a prompt.

    If the last message is from the assistant, the model continues it.

    Raises:
        PromptError: the model has no chat template, or the template rejects the messages.
    """
    named = getattr(tokenizer, "chat_template", None) or {}
    template = select(named if isinstance(named, Mapping) else {"default": named}, kwargs)
    from transformers import PreTrainedTokenizerBase

    if type(tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template:
        return _rendered_by_tokenizer(tokenizer, messages, kwargs)
    return render(template, messages, {**tokenizer.special_tokens_map, **kwargs})


def _rendered_by_tokenizer(
    tokenizer: Any, messages: Sequence[Mapping[str, Any]], kwargs: Mapping[str, Any]
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
