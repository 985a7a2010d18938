"""HforchLLM, a LangChain BaseLLM that uses an Engine and implements the generation guarantees for all backends.

`invoke`, `batch`, `stream` and their async forms call `_generate`, `_agenerate`, `_stream` and `_astream`, which submit
requests to the engine's queue.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NoReturn, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import BaseMessage
from langchain_core.outputs import GenerationChunk, LLMResult
from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.prompts import ChatPromptTemplate
from pydantic import ConfigDict, Field, PrivateAttr

from hforch import __version__
from hforch.config.schema import Generation
from hforch.errors import NotAChatModel
from hforch.generation.batching import by_length, in_order
from hforch.generation.call_arguments import checked_fields, fields_of, merge, split, stops_of
from hforch.generation.chat import RenderedPromptValue, as_chat, as_prompt_value, render_messages
from hforch.generation.completion import Answer
from hforch.generation.engine import Engine, RenderedChat, Request
from hforch.generation.grammar import resolved
from hforch.generation.lease import Lease
from hforch.generation.results import (
    add_usage_to_stream,
    anotify_new_token,
    cancel,
    generation_info,
    llm_result,
    notify_new_token,
)

LANGCHAIN_ARGUMENTS = ("tags", "metadata", "run_name", "run_id")


class HforchLLM(BaseLLM):
    """A LangChain LLM that behaves the same on every backend.

    Answers end right before the first stop sequence, streams yield text as it is generated, and an unknown argument is
    an error. `docs/architecture.md` lists all guarantees. Calls from several threads or tasks are safe.

    `invoke`, `batch`, `stream`, their async forms and `bind` accept generation settings (max_new_tokens, temperature,
    ...), `stop`, `seed`, `batch_size`, `skip_prompt` and `chat_template_kwargs`. `temperature=0` means greedy decoding;
    another temperature enables sampling. Create an LLM with `hforch.load_llm`. Copies use the same loaded model, also
    deep ones; an LLM cannot be pickled.

    Attributes:
        engine: the loaded model.
        generation: generation settings.
        stop: stop sequences for calls that pass none.
        seed: seed for sampling; None for a new random seed per call.
        echo: whether the answer starts with the prompt.
        batch_size: maximum number of prompts in a batch.
        chat_template_kwargs: variables passed to the model's chat template.
        model_name: the name of the model in LangChain's usage callbacks and traces.
        chat_prompt: a chat prompt for plain text, which becomes the value of its variable; its system message also
            applies to messages without one. None: plain text is sent to the model unchanged.
        lease: the right to use the loaded model; copies share it.
    """

    model_config = ConfigDict(extra="forbid")

    engine: Engine = Field(exclude=True, repr=False)
    generation: Generation
    stop: tuple[str, ...] = ()
    seed: int | None = 0
    echo: bool = False
    batch_size: int = 4
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    model_name: str = Field(default="", exclude=True)
    chat_prompt: ChatPromptTemplate | None = Field(default=None, exclude=True, repr=False)
    lease: Lease = Field(default_factory=Lease, exclude=True, repr=False)

    _chat: bool = PrivateAttr(default=False)
    _at_most: int | None = PrivateAttr(default=None)

    def __init__(self, **fields: Any) -> None:
        super().__init__(**checked_fields(fields))
        self.generation = resolved(self.generation)

    # ------------------------------------------------------------ closing
    def close(self) -> None:
        """Free the model, unless another LLM from `load_llm` shares it. This LLM and its copies then raise an error.

        The model is also freed if all LLMs that share it are garbage-collected. An LLM over a pipeline of the caller
        frees nothing.
        """
        self.lease.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ copies
    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        memo = {} if memo is None else memo
        memo.update({id(loaded): loaded for loaded in (*self._loaded(), self.lease)})
        return super().__deepcopy__(memo)

    def __reduce__(self) -> Any:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled, because it holds a loaded model; in another process, load the"
            " model with hforch.load_llm"
        )

    def _loaded(self) -> Sequence[Any]:
        """Return the objects that belong to the loaded model, which copies share."""
        return [self.engine]

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Yield what `repr` shows: the model, and the settings that differ from the defaults of LLMs."""
        yield "model", self.name_of_model
        yield from ((name, value) for name, value in self.generation if value not in (None, False))
        shown = ("stop", "seed", "echo", "batch_size", "chat_template_kwargs", "tags")
        fields = type(self).model_fields
        for name in shown:
            value = getattr(self, name)
            if value and value != fields[name].get_default(call_default_factory=True):
                yield name, value

    def __str__(self) -> str:
        return repr(self)

    @property
    def name_of_model(self) -> str:
        """The name of the model in usage callbacks, which ignore the usage of a model without a name."""
        return self.model_name or self._llm_type

    # ------------------------------------------------------------ methods of chat models
    def with_structured_output(self, schema: Any, **kwargs: Any) -> NoReturn:
        """Raise NotAChatModel with what to use instead: `json_schema`."""
        raise NotAChatModel(
            "with_structured_output is a method of chat models, and this is a text LLM; constrain its answers with"
            " llm.bind(json_schema=SCHEMA) or load_llm(generation={'json_schema': SCHEMA}), and parse them, for example"
            " with LangChain's JsonOutputParser"
        )

    def bind_tools(self, tools: Any, **kwargs: Any) -> NoReturn:
        """Raise NotAChatModel with what to use instead: the variable `tools` of the chat template."""
        raise NotAChatModel(
            "bind_tools is a method of chat models, and this is a text LLM; pass the tools to the model's chat template"
            " with llm.bind(chat_template_kwargs={'tools': [...]}), call it with messages, and parse the answer;"
            " json_schema=SCHEMA constrains it"
        )

    # ------------------------------------------------------------ LangChain's cache
    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {
            "hforch": __version__,
            "model": dict(self.engine.identity),
            "generation": self.generation.model_dump(),
            "default_stop": self.stop,
            "seed": self.seed,
            "echo": self.echo,
            "batch_size": self.batch_size,
            "chat": self._chat,
            "at_most": self._at_most,
        }

    def generate(
        self, prompts: list[str], stop: list[str] | None = None, callbacks: Any = None, **kwargs: Any
    ) -> LLMResult:
        llm, rest = self._for_call(prompts, kwargs)
        return super(HforchLLM, llm).generate(prompts, stop, callbacks, **rest)

    async def agenerate(
        self, prompts: list[str], stop: list[str] | None = None, callbacks: Any = None, **kwargs: Any
    ) -> LLMResult:
        llm, rest = self._for_call(prompts, kwargs)
        return await super(HforchLLM, llm).agenerate(prompts, stop, callbacks, **rest)

    def _for_call(self, prompts: list[str], kwargs: dict[str, Any]) -> tuple[HforchLLM, dict[str, Any]]:
        """Return a copy of this LLM with the settings of a call, and LangChain's own arguments.

        The settings become part of the LLM, because LangChain's cache key ignores the arguments of a call.
        """
        rest = {name: kwargs[name] for name in LANGCHAIN_ARGUMENTS if name in kwargs}
        llm = self.with_arguments(**{name: value for name, value in kwargs.items() if name not in rest})
        chats = {isinstance(prompt, RenderedChat) for prompt in prompts}
        if len(chats) > 1:  # chats and plain text are tokenized differently, so they must not share a cache key
            llm = llm.model_copy(update={"cache": False})
        elif chats == {True}:
            llm = llm.model_copy()
            llm._chat = True
        return llm, rest

    def with_arguments(self, **arguments: Any) -> HforchLLM:
        """Return a copy of this LLM with other settings, which uses the same loaded model.

        Args:
            arguments: generation settings (max_new_tokens, temperature, ...), `stop`, `skip_prompt`, `seed`,
                `batch_size`, `chat_template_kwargs`, or LangChain's `pipeline_kwargs`, a dict of these.

        Raises:
            UnknownArgument: a name is unknown, or a value is invalid.
        """
        if not arguments:
            return self
        generation, others = split(arguments)
        merged = resolved(merge(self.generation, generation))
        return self.model_copy(update={"generation": merged, **fields_of(others)})

    def shortened(self, token_limit: int) -> HforchLLM:
        """Return a copy whose answers have `token_limit` tokens, for warm-up.

        The model is still prepared for answers of full length. Stop sequences and EOS are ignored. Exception: EOS ends
        an answer that is constrained to a JSON Schema, so such an answer may be shorter.
        """
        changes = {} if self.generation.json_schema else {"ignore_eos": True, "min_new_tokens": None}
        llm = self.model_copy(update={"generation": self.generation.model_copy(update=changes), "stop": ()})
        llm._at_most = token_limit
        return llm

    # ------------------------------------------------------------ prompts
    def prompt_value(self, model_input: Any) -> PromptValue:
        """Convert an input to a prompt: messages are rendered with the model's chat template.

        Text is unchanged, unless the LLM has a `chat_prompt`.

        Raises:
            PromptError: the input is neither text nor messages; the messages cannot be rendered, see `render_messages`;
                or the chat prompt does not have exactly one variable.
        """
        value = self._convert_input(model_input)
        if self.chat_prompt is not None and not isinstance(value, RenderedPromptValue):
            value = as_chat(value, self.chat_prompt)
        if not isinstance(value, ChatPromptValue):
            return value
        rendered = render_messages(self.engine, value.to_messages(), self.chat_template_kwargs)
        return RenderedPromptValue(text=rendered)

    def _convert_input(self, model_input: Any) -> PromptValue:
        return as_prompt_value(model_input, super()._convert_input)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text from the model's tokenizer; LangChain's default would use GPT-2's.

        The field `custom_get_token_ids` replaces the tokenizer.
        """
        return self.engine.encode(text) if self.custom_get_token_ids is None else self.custom_get_token_ids(text)

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Return the number of tokens of messages, rendered with the model's chat template.

        Args:
            tools: passed to the chat template.

        Raises:
            PromptError: the messages cannot be rendered, see `render_messages`.
        """
        kwargs = self.chat_template_kwargs if tools is None else {**self.chat_template_kwargs, "tools": list(tools)}
        return len(self.engine.encode(render_messages(self.engine, messages, kwargs)))

    def generate_prompt(
        self, prompts: list[PromptValue], stop: list[str] | None = None, callbacks: Any = None, **kwargs: Any
    ) -> LLMResult:
        llm = self._with_chat_kwargs(kwargs)
        values = [llm.prompt_value(prompt) for prompt in prompts]
        return super().generate_prompt(values, stop, callbacks, **kwargs)

    async def agenerate_prompt(
        self, prompts: list[PromptValue], stop: list[str] | None = None, callbacks: Any = None, **kwargs: Any
    ) -> LLMResult:
        llm = self._with_chat_kwargs(kwargs)
        values = [llm.prompt_value(prompt) for prompt in prompts]
        return await super().agenerate_prompt(values, stop, callbacks, **kwargs)

    def stream(self, input: Any, config: Any = None, *, stop: list[str] | None = None, **kwargs: Any) -> Iterator[str]:
        value = self._with_chat_kwargs(kwargs).prompt_value(input)
        return super().stream(value, config, stop=stop, **kwargs)

    def astream(
        self, input: Any, config: Any = None, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[str]:
        value = self._with_chat_kwargs(kwargs).prompt_value(input)
        return super().astream(value, config, stop=stop, **kwargs)

    def _with_chat_kwargs(self, kwargs: dict[str, Any]) -> HforchLLM:
        given = kwargs.pop("chat_template_kwargs", None)
        return self if given is None else self.with_arguments(chat_template_kwargs=given)

    # ------------------------------------------------------------ whole answers
    def _batches(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return batches of prompt positions."""
        return by_length([len(prompt) for prompt in prompts], self.batch_size)

    def _requests(
        self, prompts: Sequence[str], stop: Sequence[str] | None, batches: Sequence[Sequence[int]]
    ) -> list[Request]:
        now = time.perf_counter()
        stops = self.stop if stop is None else stops_of(stop)
        seed = secrets.randbits(63) if self.seed is None else self.seed
        return [
            Request(
                [prompts[place] for place in batch],
                self.generation,
                stops,
                seed,
                submitted_at=now,
                token_limit=self._at_most,
            )
            for batch in batches
        ]

    def _submit(
        self, prompts: Sequence[str], stop: list[str] | None
    ) -> tuple[list[list[int]], list[Request], list[Future[list[Answer]]]]:
        """Submit prompts to the engine; return the batches, with a request and a future for each."""
        batches = self._batches(prompts)
        requests = self._requests(prompts, stop, batches)
        return batches, requests, [self._submitted(request) for request in requests]

    def _submitted(self, request: Request) -> Future[list[Answer]]:
        self.lease.check()
        return self.engine.submit(request)

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        llm = self.with_arguments(**kwargs)
        batches, requests, futures = llm._submit(prompts, stop)
        try:
            answers = [future.result() for future in futures]
        except BaseException:
            cancel(requests, futures)
            raise
        return llm._result(prompts, in_order(batches, answers))

    async def _agenerate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        llm = self.with_arguments(**kwargs)
        batches, requests, futures = llm._submit(prompts, stop)
        try:
            answers = [await asyncio.wrap_future(future) for future in futures]
        except BaseException:
            cancel(requests, futures)
            raise
        return llm._result(prompts, in_order(batches, answers))

    def _result(self, prompts: Sequence[str], answers: Sequence[Answer]) -> LLMResult:
        return llm_result(answers, [str(prompt) if self.echo else "" for prompt in prompts], self.name_of_model)

    # ------------------------------------------------------------ streams
    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        llm = self.with_arguments(**kwargs)
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        (request,) = llm._requests([prompt], stop, [[0]])
        request.on_text = pieces.put
        future = self._submitted(request)
        future.add_done_callback(lambda _: pieces.put(None))
        try:
            if llm.echo:
                yield notify_new_token(GenerationChunk(text=str(prompt)), run_manager)
            while (piece := pieces.get()) is not None:
                yield notify_new_token(GenerationChunk(text=piece), run_manager)
            (answer,) = future.result()
            add_usage_to_stream(run_manager, answer, llm.name_of_model)
            yield GenerationChunk(text="", generation_info=generation_info(answer))
        finally:
            cancel([request], [future])

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        llm = self.with_arguments(**kwargs)
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()

        def hand_over(piece: str | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

        (request,) = llm._requests([prompt], stop, [[0]])
        request.on_text = hand_over
        future = self._submitted(request)
        future.add_done_callback(lambda _: hand_over(None))
        try:
            if llm.echo:
                yield await anotify_new_token(GenerationChunk(text=str(prompt)), run_manager)
            while (piece := await pieces.get()) is not None:
                yield await anotify_new_token(GenerationChunk(text=piece), run_manager)
            (answer,) = future.result()
            add_usage_to_stream(run_manager, answer, llm.name_of_model)
            yield GenerationChunk(text="", generation_info=generation_info(answer))
        finally:
            cancel([request], [future])
