"""Answers in the forms that LangChain gives out: results with usage and finish reasons, and what its callbacks hear."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.outputs import Generation, GenerationChunk, LLMResult

from hforch.generation.completion import Answer
from hforch.generation.engine import Request


def llm_result(answers: Sequence[Answer], before: Sequence[str]) -> LLMResult:
    """The result of a call: one generation a prompt, each with `before` in front, and the usage of all together."""
    generations = [
        [Generation(text=prefix + answer.text, generation_info=generation_info(answer))]
        for prefix, answer in zip(before, answers, strict=True)
    ]
    each = [answer.usage for answer in answers]
    names = each[0] if each and all(each) else ()  # known of all answers, or not told
    usage = {name: sum(one[name] for one in each) for name in names}
    return LLMResult(generations=generations, llm_output={"token_usage": usage})


def generation_info(answer: Answer) -> dict[str, Any]:
    """What LangChain's callbacks and results carry of an answer, besides its text."""
    return {
        "finish_reason": answer.finish_reason,
        "token_usage": answer.usage,
        "prompt_ids": None if answer.prompt_ids is None else list(answer.prompt_ids),
        "output_ids": None if answer.output_ids is None else list(answer.output_ids),
        "timings": dict(answer.timings),
        "absent": dict(answer.absent),
    }


def add_usage_to_stream(run_manager: Any, answer: Answer) -> None:
    """LangChain ends a stream with a result that has no llm_output; put the usage there, as invoke has it."""
    if run_manager is None:
        return
    end = run_manager.on_llm_end

    def on_llm_end(response: LLMResult, **kwargs: Any) -> Any:
        return end(response.model_copy(update={"llm_output": {"token_usage": answer.usage}}), **kwargs)

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
