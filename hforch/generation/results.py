"""Convert answers to LangChain's results, with token usage and finish reasons, and notify its callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.load.serializable import SerializedConstructor, SerializedNotImplemented
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, Generation, GenerationChunk, LLMResult
from pydantic import PrivateAttr

from hforch.generation.completion import Answer
from hforch.generation.engine import Request


class AnsweredGeneration(ChatGeneration):
    """A generation with the `Answer` that it was created from, for hforch's callbacks.

    It also has the answer as a message, because LangChain's usage callbacks read token counts only from messages
    (`AIMessage.usage_metadata`, with `response_metadata["model_name"]`).
    """

    _answer: Answer = PrivateAttr()

    @classmethod
    def of(cls, answer: Answer, text: str, model_name: str) -> AnsweredGeneration:
        """Return the generation of an answer; `text` may start with the prompt."""
        info = generation_info(answer)
        metadata = {"model_name": model_name, "finish_reason": answer.finish_reason}
        message = AIMessage(content=text, usage_metadata=_usage_metadata(answer), response_metadata=metadata)
        generation = cls(message=message, generation_info=info)
        generation._answer = answer
        return generation

    def to_json(self) -> SerializedConstructor | SerializedNotImplemented:
        """Serialize as a plain generation, so that LangChain's caches store and load it as one."""
        return Generation(text=self.text, generation_info=self.generation_info).to_json()


def _usage_metadata(answer: Answer) -> UsageMetadata | None:
    """Return the token counts by the names of LangChain's messages, or None if they are unknown."""
    if not (usage := answer.usage):
        return None
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
    )


def answer_of(response: LLMResult) -> Answer:
    """Return the answer in the result that a callback receives at the end of a call with one prompt.

    Raises:
        TypeError: the result comes from another LLM or from LangChain's cache.
    """
    ((generation,),) = response.generations
    if not isinstance(generation, AnsweredGeneration):
        raise TypeError("this generation has no answer: it comes from another LLM or from a cache")
    return generation._answer


def llm_result(answers: Sequence[Answer], before: Sequence[str], model_name: str) -> LLMResult:
    """Return the result of a call: one generation per prompt, prefixed with `before`, and the total token usage."""
    generations: list[list[Any]] = [
        [AnsweredGeneration.of(answer, prefix + answer.text, model_name)]
        for prefix, answer in zip(before, answers, strict=True)
    ]
    each = [answer.usage for answer in answers]
    names = each[0] if each and all(each) else ()  # empty unless the usage of all answers is known
    usage = {name: sum(one[name] for one in each) for name in names}
    return LLMResult(generations=generations, llm_output={"token_usage": usage})


def generation_info(answer: Answer) -> dict[str, Any]:
    """Return the fields of an answer, without its text, for LangChain's results and callbacks."""
    return {
        "finish_reason": answer.finish_reason,
        "token_usage": answer.usage,
        "prompt_ids": None if answer.prompt_ids is None else list(answer.prompt_ids),
        "output_ids": None if answer.output_ids is None else list(answer.output_ids),
        "timings": dict(answer.timings),
        "absent": dict(answer.absent),
    }


def add_usage_to_stream(run_manager: Any, answer: Answer, model_name: str) -> None:
    """Add token usage and answer to the final result of a stream, where LangChain leaves llm_output empty."""
    if run_manager is None:
        return
    end = run_manager.on_llm_end

    def on_llm_end(response: LLMResult, **kwargs: Any) -> Any:
        text = response.generations[0][0].text
        whole = {
            "llm_output": {"token_usage": answer.usage},
            "generations": [[AnsweredGeneration.of(answer, text, model_name)]],
        }
        return end(response.model_copy(update=whole), **kwargs)

    run_manager.on_llm_end = on_llm_end


def cancel(requests: Sequence[Request], futures: Sequence[Future[list[Answer]]]) -> None:
    for request, future in zip(requests, futures, strict=True):
        request.cancelled.set()
        future.cancel()


def notify_new_token(chunk: GenerationChunk, run_manager: CallbackManagerForLLMRun | None) -> GenerationChunk:
    if run_manager:
        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
    return chunk


async def anotify_new_token(
    chunk: GenerationChunk, run_manager: AsyncCallbackManagerForLLMRun | None
) -> GenerationChunk:
    if run_manager:
        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
    return chunk
