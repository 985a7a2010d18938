"""The fields of an LLM that `load_llm` accepts in addition to the configuration, checked before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from langchain_core.caches import BaseCache
from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from pydantic import TypeAdapter, ValidationError

from hforch.errors import UnknownArgument, first_line, shown
from hforch.generation.call_arguments import checked_fields, split
from hforch.generation.llm import HforchLLM


class LLMFields(TypedDict, total=False):
    """Fields of LangChain's BaseLLM and of HforchLLM; the latter take precedence over the configuration.

    Attributes:
        pipeline_kwargs: arguments of a call, such as max_new_tokens, that become those of the LLM.
    """

    name: str | None
    cache: BaseCache | bool | None
    verbose: bool
    callbacks: list[BaseCallbackHandler] | BaseCallbackManager | None
    tags: list[str] | None
    metadata: dict[str, Any] | None
    custom_get_token_ids: Callable[[str], list[int]] | None
    seed: int | None
    echo: bool
    batch_size: int
    chat_template_kwargs: dict[str, Any]
    pipeline_kwargs: Mapping[str, Any]


def check_fields(fields: Mapping[str, Any]) -> None:
    """Check the values of known fields.

    Raises:
        UnknownArgument: values are invalid; the message lists all of them.
    """
    problems = []
    for name, value in fields.items():
        try:
            if name == "pipeline_kwargs":
                split({name: value})
                continue
            checked_fields({name: value})
            kind: Any = HforchLLM.model_fields[name].annotation
            TypeAdapter(kind, config={"arbitrary_types_allowed": True}).validate_python(value)
        except UnknownArgument as error:
            problems.append(str(error))
        except ValidationError as error:
            reason = first_line(error.errors()[0]["msg"])
            problems.append(f"{name}={shown(repr(value), 80)}: {reason[:1].lower()}{reason[1:]}")
    if problems:
        raise UnknownArgument("; ".join(problems))
